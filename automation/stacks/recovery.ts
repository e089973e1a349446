import type { Stack } from '@pulumi/pulumi/automation/index.js';
import type { EngineSettings, StateFiles } from '../../infra/platform/engine.ts';
import { isReal, onlyRecorded, type Deployment, type Recorded, locationOf, lockDirectory } from './state.ts';
import { hostname } from 'node:os';
import { isAlive } from '../../infra/lib/lifetimes.ts';
import { OperationError } from '../../infra/lib/errors.ts';

/**
 * Settles what a killed engine left. What it was creating may be there or not: it is put into the state, and a refresh
 * then looks at it and drops what is not there. What it was changing or deleting is in the state already, and the
 * same refresh finds out how far that got. So nothing is forgotten that may exist, but for what has an id that only the
 * provider knew: resolves to the URNs of those, for a person to look for.
 */
export async function settlePending(
  stack: Stack,
  recorded: Recorded,
  settings: Pick<EngineSettings, 'idOf'>,
): Promise<string[]> {
  if (recorded.pending.length === 0) return [];
  const state = await stack.exportStack();
  const deployment = state.deployment as Deployment;
  const resources = (deployment.resources ??= []);
  const orphans: string[] = [];
  for (const { type, resource } of deployment.pending_operations ?? []) {
    if (type !== 'creating' || !isReal(resource)) continue;
    const id = settings.idOf(resource);
    if (id === undefined) {
      if (!onlyRecorded(resource)) orphans.push(resource.urn);
    } else if (!resources.some((known) => known.urn === resource.urn && known.id === id))
      resources.push({ ...resource, id, outputs: { ...resource.inputs } });
  }
  delete deployment.pending_operations;
  await stack.importStack(state);
  await stack.refresh();
  return orphans;
}

/** As the backend writes it, in files and in S3 alike: it has no expiry, so a killed engine leaves it for ever. */
interface Lock {
  pid: number;
  username: string;
  hostname: string;
  timestamp: string;
}

/**
 * Locks of engines that are dead: their process was on this host and is gone. Rejects with an OperationError where the
 * holder lives, or may live on another host.
 */
export async function deadLocks(settings: EngineSettings, stack: string): Promise<string[]> {
  const { state } = settings;
  const paths = (await state.list(lockDirectory(stack))).filter((path) => path.endsWith('.json'));
  for (const path of paths) {
    const lock = await readLock(state, path);
    if (lock !== undefined && !isDead(lock)) throw held(stack, lock, locationOf(settings, path));
  }
  return paths;
}

export async function removeLocks({ state }: EngineSettings, paths: readonly string[]): Promise<void> {
  for (const path of paths) await state.remove(path);
}

/** Undefined where it is gone, or is no lock: an engine that was killed while it wrote it. */
async function readLock(state: StateFiles, path: string): Promise<Lock | undefined> {
  const text = await state.read(path);
  try {
    const lock = JSON.parse(text ?? '') as Partial<Lock>;
    return typeof lock.pid === 'number' ? (lock as Lock) : undefined;
  } catch {
    return undefined;
  }
}

function isDead(lock: Lock): boolean {
  return lock.hostname === hostname() && !isAlive(lock.pid);
}

const held = (stack: string, { pid, username, hostname: host, timestamp }: Lock, path: string): OperationError =>
  new OperationError(
    `locking the stack ${stack}`,
    `process ${pid} of ${username} on ${host} has worked on it since ${timestamp}`,
    host === hostname() ? 'wait until it ends' : `wait until it ends; if that host is gone, delete ${path}`,
  );
