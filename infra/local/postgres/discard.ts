import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { move } from '../../lib/atomic-file.ts';
import { OperationError } from '../../lib/errors.ts';
import type { ServerControl } from './clone.ts';
import { stopCluster } from './cluster.ts';
import { doomed, markerFile, type ClusterSpec } from './create.ts';

/**
 * Ends the server of a cluster and deletes what is left of it: also where its data are damaged, or gone from under the server that
 * runs. No-op if nothing is left. Rejects, before anything is done, if the directory is not marked as the cluster of that name.
 */
export async function discardCluster(
  { directory, name }: Pick<ClusterSpec, 'directory' | 'name'>,
  server: ServerControl,
): Promise<void> {
  const entries = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  const marked = entries === undefined ? undefined : await markedName(directory);
  if (entries !== undefined && entries.length > 0 && marked !== name) {
    throw new OperationError(
      `removing what is left of the database ${name}`,
      marked === undefined ? `${directory} has no valid ${markerFile}` : `${directory} is marked as ${marked}`,
      'nothing was changed; find out what it is, and move it away if it is not needed',
    );
  }
  await server.stop();
  // A server that somebody else has started.
  await stopCluster({ directory });
  if (entries === undefined) return;
  const old = doomed(directory);
  await move(directory, old);
  await rm(old, { recursive: true, force: true });
}

/** The name in the marker file, whatever else is in the directory. */
async function markedName(directory: string): Promise<string | undefined> {
  try {
    const { cluster } = JSON.parse(await readFile(join(directory, markerFile), 'utf8')) as { cluster?: unknown };
    return typeof cluster === 'string' ? cluster : undefined;
  } catch {
    return undefined;
  }
}
