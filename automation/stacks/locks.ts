import { readdir, readFile, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { OperationError } from '../../infra/errors.ts';
import type { EngineSettings } from '../../infra/platform.ts';
import { lockDirectory } from './state.ts';

/** As the file backend writes it: it has no expiry, so a killed engine leaves it for ever. */
interface Lock {
  pid: number;
  username: string;
  hostname: string;
  timestamp: string;
}

/**
 * Removes the locks of engines that are dead: their process was on this host and is gone. Rejects with an OperationError
 * where the holder lives, or may live on another host. Resolves to how many were removed.
 */
export async function clearDeadLocks(settings: EngineSettings, stack: string): Promise<number> {
  const directory = lockDirectory(settings, stack);
  const files = (await readdir(directory).catch(() => [])).filter((file) => file.endsWith('.json'));
  let cleared = 0;
  for (const file of files) {
    const path = join(directory, file);
    const lock = await readLock(path);
    if (lock !== undefined && !isDead(lock)) throw held(stack, lock, path);
    await rm(path, { force: true });
    cleared += 1;
  }
  return cleared;
}

/** Undefined where it is gone, or is no lock: an engine that was killed while it wrote it. */
async function readLock(path: string): Promise<Lock | undefined> {
  try {
    const lock = JSON.parse(await readFile(path, 'utf8')) as Partial<Lock>;
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
