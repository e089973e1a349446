import type { Stack } from '@pulumi/pulumi/automation/index.js';
import type { EngineSettings, StateFiles } from '../../infra/platform/engine.ts';
import { isReal, onlyRecorded, type Deployment, type Recorded, locationOf, lockDirectory } from './state.ts';
import { hostname } from 'node:os';
import { isAlive } from '../../infra/lib/lifetimes.ts';
import { OperationError } from '../../infra/lib/errors.ts';

/**
 * Resolves pending operations after a crash. Resources that were being created are added to the state, and a refresh
 * removes those that do not exist. The same refresh finds the result of interrupted updates and deletions. A resource
 * whose id only the provider knew cannot be added. Resolves to the URNs of such resources, so that a person can look
 * for them.
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

/** A lock file of the backend, the same on disk and in S3. It does not expire, so a killed engine leaves it behind. */
interface Lock {
  pid: number;
  username: string;
  hostname: string;
  timestamp: string;
}

/**
 * Paths of the locks of dead engines: their process on this host has ended, or the file is incomplete because the
 * engine was killed while writing it. Rejects with an OperationError if a holder is alive or on another host.
 */
export async function deadLocks(settings: EngineSettings, stack: string): Promise<string[]> {
  const { state } = settings;
  const paths = (await state.list(lockDirectory(stack))).filter((path) => path.endsWith('.json'));
  for (const path of paths) {
    const lock = await readLock(state, path);
    if (lock !== undefined && !isDead(lock)) throw lockedBy(stack, lock, locationOf(settings, path));
  }
  return paths;
}

export async function removeLocks({ state }: EngineSettings, paths: readonly string[]): Promise<void> {
  for (const path of paths) await state.remove(path);
}

/** Undefined if the file is gone or incomplete. */
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

const lockedBy = (stack: string, { pid, username, hostname: host, timestamp }: Lock, path: string): OperationError =>
  new OperationError(
    `locking the stack ${stack}`,
    `process ${pid} of ${username} on ${host} has worked on it since ${timestamp}`,
    host === hostname()
      ? 'wait until that process ends'
      : `wait until that process ends; if the host ${host} is gone, delete ${path}`,
  );
