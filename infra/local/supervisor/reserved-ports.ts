import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../../lib/atomic-file.ts';
import { holdPort } from '../../lib/free-ports.ts';
import { sharedStateDirectory } from '../../lib/place.mjs';
import { poll } from '../../lib/poll.ts';
import type { Ports } from '../lib/layout.ts';

/**
 * The ports of all environments of this user. An environment's ports are reserved by its `ports.json`, also while it does not run, and
 * those of an inactive colour. Each environment is a file in one shared directory, which says where it lies.
 */
const registry = (): string => join(sharedStateDirectory(), 'environments');

const entry = (directory: string): string =>
  join(registry(), createHash('sha256').update(directory).digest('hex').slice(0, 16));

export async function register(directory: string): Promise<void> {
  await mkdir(registry(), { recursive: true, mode: 0o700 });
  await replaceFile(entry(directory), directory);
}

export const unregister = (directory: string): Promise<void> => rm(entry(directory), { force: true });

/** Ports of the other environments, with the directory of each. Forgets environments that are gone. */
export async function reservedPorts(own: string): Promise<Map<number, string>> {
  const reserved = new Map<number, string>();
  for (const name of await readdir(registry()).catch(() => [])) {
    const file = join(registry(), name);
    const directory = await readFile(file, 'utf8').catch(() => own);
    if (directory === own) continue;
    const text = await readFile(join(directory, 'ports.json'), 'utf8').catch(({ code }: NodeJS.ErrnoException) => code);
    if (text === 'ENOENT') await rm(file, { force: true });
    // Another version of Greenlight may have written it in another form, and a damaged one is that environment's matter.
    else for (const [port] of (text ?? '').matchAll(/\b\d{2,5}\b/g)) reserved.set(Number(port), directory);
  }
  return reserved;
}

/** The ports in an environment's `ports.json`. Undefined if it is not there or not whole. */
export async function recordedPorts(file: string): Promise<Ports | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Ports;
  } catch {
    return undefined;
  }
}

export const allPorts = (ports: Ports): number[] => [
  ports.https,
  ports.http,
  ports.balancerMetrics,
  ports.prometheus,
  ports.alertmanager,
  ports.alertReceiver,
  ...Object.values(ports.database),
  ...Object.values(ports.instances).flatMap((services) => Object.values(services).flat()),
  ...Object.values(ports.integrations),
];

/** Above the ports of environments, and below the system's ephemeral ones. */
const turnPort = 32_001;
/** Longest wait for the others, ms. An allocation takes less than one second. */
const patienceMs = 20_000;

/**
 * Runs `work` while no other Greenlight program of this machine allocates ports. A program that ends gives its turn back, however it
 * ends. If something else holds the port of the turn, `work` runs after the wait all the same.
 */
export async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const end = await poll(() => holdPort(turnPort), { everyMs: 20, timeoutMs: patienceMs });
  try {
    return await work();
  } finally {
    await end?.();
  }
}
