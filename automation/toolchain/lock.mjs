// Not infra/lib/: set-up runs on Node.js 20, which does not read TypeScript, before any package is installed.
// One set-up at a time: `npm test` and `npm run release` in two terminals must not install into the same folder.
import { mkdirSync, readFileSync, rmdirSync, statSync, unlinkSync, writeFileSync, linkSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const pollMs = 200;
/** Clearing a dead lock takes microseconds: a guard this old was left by a crash in between. */
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

/** Creates the lock whole (written elsewhere, then linked), so that nobody ever reads an empty one. */
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

/** Removes a lock whose holder died. Under a guard: else a second process could remove the first one's new lock. */
function clearDead(path) {
  const guard = `${path}.clearing`;
  try {
    mkdirSync(guard);
  } catch {
    try {
      if (Date.now() - statSync(guard).mtimeMs > guardMs) rmdirSync(guard);
    } catch {
      // The other one has just finished.
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
 * @param {(pid: number) => void} waiting told once, when somebody else holds it
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
