// Not infra/lib/: set-up runs on Node.js 20, which does not read TypeScript, before any package is installed.
// One set-up at a time: `npm test` and `npm run release` in two terminals must not install into one folder at once.
import { mkdirSync, readFileSync, rmdirSync, statSync, unlinkSync, writeFileSync, linkSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const pollMs = 200;
/** Clearing a dead lock takes microseconds. A guard older than this was left by a crash. */
const guardMs = 5000;

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function holder(path) {
  try {
    return Number(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Creates the lock atomically: written to another file, then linked, so that nobody reads an empty one. */
function take(path) {
  const own = `${path}.${process.pid}`;
  writeFileSync(own, String(process.pid));
  try {
    linkSync(own, path);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    return false;
  } finally {
    unlinkSync(own);
  }
}

/** Removes the lock of a dead process. Without the guard a second process could remove the new lock of the first. */
function clearDead(path) {
  const guard = `${path}.clearing`;
  try {
    mkdirSync(guard);
  } catch {
    try {
      if (Date.now() - statSync(guard).mtimeMs > guardMs) rmdirSync(guard);
    } catch {
      // The other process has just removed the guard.
    }
    return;
  }
  try {
    const pid = holder(path);
    if (pid !== undefined && !alive(pid)) unlinkSync(path);
  } finally {
    rmdirSync(guard);
  }
}

/**
 * Waits until this process holds the lock, then runs `work`. A lock whose process is dead is taken over.
 * @param {string} path
 * @param {(pid: number) => void} waiting called once if another process holds the lock
 * @param {() => Promise<T>} work
 * @template T
 */
export async function withLock(path, waiting, work) {
  mkdirSync(dirname(path), { recursive: true });
  let told = false;
  while (!take(path)) {
    const pid = holder(path);
    if (pid !== undefined && !alive(pid)) {
      clearDead(path);
      continue;
    }
    if (!told && pid !== undefined) waiting(pid);
    told = true;
    await sleep(pollMs);
  }
  const release = () => {
    if (holder(path) === process.pid) unlinkSync(path);
  };
  process.once('exit', release);
  try {
    return await work();
  } finally {
    process.removeListener('exit', release);
    release();
  }
}
