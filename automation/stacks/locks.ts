import { hostname } from 'node:os';
import { OperationError } from '../../infra/errors.ts';
import type { EngineSettings, StateFiles } from '../../infra/platform.ts';
import { locationOf, lockDirectory } from './state.ts';

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
  if (lock.hostname !== hostname()) return false;
  try {
    process.kill(lock.pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

const held = (stack: string, { pid, username, hostname: host, timestamp }: Lock, path: string): OperationError =>
  new OperationError(
    `locking the stack ${stack}`,
    `process ${pid} of ${username} on ${host} has worked on it since ${timestamp}`,
    host === hostname() ? 'wait until it ends' : `wait until it ends; if that host is gone, delete ${path}`,
  );
