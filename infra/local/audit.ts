import { readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { AuditFacts } from '../platform.ts';
import type { Layout, Ports } from './layout.ts';
import { listenersOf } from './listeners.ts';
import { volumeEncrypted } from './volume.ts';

/** How a local environment is protected: the modes of its secrets, where its ports listen, and its volume. */
export async function auditLocal(layout: Layout): Promise<AuditFacts> {
  const directory = dirname(layout.secretFile('route'));
  const names = await readdir(directory);
  const secretFiles = await Promise.all(
    [...names.map((name) => join(directory, name)), join(layout.certificates(), 'server.key')].map(async (path) => ({
      path,
      mode: (await stat(path)).mode & 0o777,
    })),
  );
  return {
    secretFiles,
    listeners: await listenersOf(allPorts(layout.ports())),
    publicPorts: [],
    volumeEncrypted: await volumeEncrypted(directory),
  };
}

function allPorts(ports: Ports): number[] {
  const { database, instances, integrations, ...single } = ports;
  const services = Object.values(instances).flatMap((byService) => Object.values(byService).flat());
  return [...Object.values(single), ...Object.values(database), ...services, ...Object.values(integrations)];
}
