import { existsSync } from 'node:fs';
import { readdir, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { colours, type EnvironmentName } from '../../model.ts';
import { removeContainers } from '../../containers/containers.ts';
import { releasesDirectory } from '../../lib/paths.ts';
import { balancerSocket } from '../haproxy/config.ts';
import { Layout } from '../lib/layout.ts';
import { stopCluster } from '../postgres/cluster.ts';
import { removeLeftovers } from '../postgres/scratch.ts';
import { Supervisor } from '../supervisor/supervisor.ts';

/**
 * Stops and removes what is left of an environment, using only its files. Ends only processes that the environment
 * recorded and that are still the same ones. Resolves to the paths that it keeps.
 */
export async function wipeEnvironment(
  environment: EnvironmentName,
  options: { keepBackups: boolean },
): Promise<string[]> {
  const layout = new Layout(environment);
  await new Supervisor(layout).shutdown();
  // Those of jobs, of previews, and of a supervisor whose files are lost.
  await removeContainers(environment);
  for (const colour of colours) await stopCluster({ directory: layout.database(colour) });
  if (existsSync(layout.scratch())) await removeLeftovers(layout);
  const socket = balancerSocket(layout);
  if (dirname(socket) !== layout.balancer()) await rm(dirname(socket), { recursive: true, force: true });

  const spared = options.keepBackups
    ? [layout.backups(), releasesDirectory(environment), layout.files()].map((path) => basename(path))
    : [];
  const entries = await readdir(layout.directory).catch(() => []);
  const kept = entries.filter((entry) => spared.includes(entry));
  for (const entry of entries) {
    if (!spared.includes(entry)) await rm(join(layout.directory, entry), { recursive: true, force: true });
  }
  if (entries.length > 0 && kept.length === 0) await rmdir(layout.directory);
  return kept.map((entry) => join(layout.directory, entry));
}
