import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ScratchDatabase } from '../../platform/databases.ts';
import type { Layout } from '../lib/layout.ts';
import { freePorts } from '../../lib/free-ports.ts';
import {
  clusterAccess,
  createCluster,
  destroyCluster,
  startCluster,
  stopCluster,
  type ClusterSpec,
} from './cluster.ts';
import { hasCode } from '../../lib/errors.ts';
import { isAlive } from '../../lib/lifetimes.ts';

/**
 * Temporary clusters. Their names contain the pid of the program that uses them, so that they can be deleted when it
 * has ended.
 */

/** Another program can take a free port before the server uses it. Another port is tried then. */
const portAttempts = 3;

/** Names of scratch directories and of their leftovers after a crash: `<purpose>-<pid>-<random>[.new-x]`. */
const scratchName = /-(\d+)-[0-9a-f]{8}(?:\..*)?$/;

/** Creates a scratch cluster with `make` and starts it. The caller must call `dispose`. */
export async function openScratch(
  layout: Layout,
  purpose: string,
  maxConnections: number,
  make: (spec: ClusterSpec) => Promise<void>,
): Promise<ScratchDatabase> {
  await mkdir(layout.scratch(), { recursive: true, mode: 0o700 });
  await removeLeftovers(layout);
  const password = (): string => randomBytes(24).toString('base64url');
  let spec: ClusterSpec = {
    directory: join(layout.scratch(), `${fileName(purpose)}-${process.pid}-${randomBytes(4).toString('hex')}`),
    port: (await freePorts(1))[0] as number,
    name: `${layout.environment}-${fileName(purpose)}`,
    certificates: layout.certificates(),
    maxConnections,
    passwords: { admin: password(), owner: password(), app: password() },
  };
  await make(spec);
  for (let attempt = 1; ; attempt++) {
    try {
      await startCluster(spec);
      const directory = spec.directory;
      return { access: clusterAccess(spec), dispose: () => destroyCluster({ directory }) };
    } catch (error) {
      if (attempt < portAttempts && hasCode(error, 'port-in-use')) {
        spec = { ...spec, port: (await freePorts(1))[0] as number };
        await createCluster(spec);
        continue;
      }
      await destroyCluster(spec);
      throw error;
    }
  }
}

/** Stops and deletes scratch clusters of programs that have ended. */
export async function removeLeftovers(layout: Layout): Promise<void> {
  for (const name of await readdir(layout.scratch()).catch(() => [])) {
    const owner = scratchName.exec(name)?.[1];
    if (owner === undefined || isAlive(Number(owner))) continue;
    const directory = join(layout.scratch(), name);
    await stopCluster({ directory });
    await rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }
}

/** The purpose as part of a file name. */
const fileName = (purpose: string): string => purpose.replace(/[^a-zA-Z0-9]+/g, '-').slice(0, 40);
