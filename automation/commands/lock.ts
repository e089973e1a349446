import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createFileSync, replaceFileSync } from '../../infra/lib/atomic-file.ts';
import { OperationError } from '../../infra/lib/errors.ts';
import { LeaseHeldError, type LeaseHolder } from '../../infra/platform/lease.ts';
import { processIdentity, whyGone } from '../../infra/lib/process-identity.ts';

/**
 * One release per environment at a time. `lock.json` holds the first owner. Who takes over from a dead owner links
 * `lock.<owner's token>.json` beside it, which only one taker can do; the last file of that chain is the lock in force.
 * Nothing is ever renamed away or replaced, so no taker can remove the lock that another one has just taken.
 */

export const lockFile = 'lock.json';
/** A machine that hosts a release is given up on after this long without a sign of life. */
const defaultLeaseMs = 60_000;

export interface LockHolder extends LeaseHolder {
  /** Start time of the process, as the system tells it: another process with the same pid has another one. */
  processStart: string;
}

export interface Lock {
  readonly holder: LockHolder;
  /** One sentence where the lock was taken over from a dead owner: belongs in the journal. */
  readonly note: string | undefined;
  /** False once another machine took it over (this one was silent for longer than the lease): stop then. */
  held(): boolean;
  unlock(): void;
}

/** Another command on this machine has the environment. */
export class LockedError extends LeaseHeldError {
  constructor(holder: LockHolder, environmentDirectory: string) {
    super(environmentDirectory, holder);
    this.name = 'LockedError';
  }
}

/**
 * Takes the environment for one release and renews the lease until it is released. Throws a LockedError if a living
 * owner has it, an OperationError if the lock cannot be read.
 */
export function acquireLock(
  environmentDirectory: string,
  by: { owner: string; release: string; leaseMs?: number },
): Lock {
  const leaseMs = by.leaseMs ?? defaultLeaseMs;
  mkdirSync(environmentDirectory, { recursive: true, mode: 0o700 });
  const at = (token?: string): string => join(environmentDirectory, token ? `lock.${token}.json` : lockFile);
  const lease = (): string => new Date(Date.now() + leaseMs).toISOString();
  const holder: LockHolder = {
    token: randomUUID(),
    pid: process.pid,
    processStart: processIdentity(process.pid) ?? 'unknown',
    host: hostname(),
    owner: by.owner,
    release: by.release,
    since: new Date().toISOString(),
    leaseUntil: lease(),
  };

  for (;;) {
    const chain = readChain(at);
    const last = chain.at(-1);
    if (last && isAlive(last)) throw new LockedError(last, environmentDirectory);
    const file = at(last?.token);
    if (!createFileSync(file, JSON.stringify(holder))) continue;
    // The owner before may have unlocked in between: then this file follows no other, and the race starts again.
    if (readChain(at).at(-1)?.token !== holder.token) {
      rmSync(file, { force: true });
      continue;
    }
    return keep(file, last);
  }

  function keep(file: string, before: LockHolder | undefined): Lock {
    const held = (): boolean => readChain(at).at(-1)?.token === holder.token;
    const renewal = setInterval(() => {
      if (!held()) return clearInterval(renewal);
      holder.leaseUntil = lease();
      replaceFileSync(file, JSON.stringify(holder));
    }, leaseMs / 3).unref();

    return {
      holder,
      note: before && `took over the lock of release ${before.release} by ${before.owner}: ${whyDead(before)}`,
      held,
      unlock() {
        clearInterval(renewal);
        const chain = readChain(at);
        if (chain.at(-1)?.token !== holder.token) return;
        // The first file first: without it the others mean nothing.
        rmSync(at(), { force: true });
        for (const link of chain) rmSync(at(link.token), { force: true });
      },
    };
  }
}

/** Who has the environment now; undefined if nobody does, or the owner is dead. Changes nothing. */
export function readLock(environmentDirectory: string): LockHolder | undefined {
  const last = readChain((token) => join(environmentDirectory, token ? `lock.${token}.json` : lockFile)).at(-1);
  return last && isAlive(last) ? last : undefined;
}

/** All owners, oldest first; the last is the one in force. */
function readChain(at: (token?: string) => string): LockHolder[] {
  const chain: LockHolder[] = [];
  for (let next = readHolder(at()); next; next = readHolder(at(next.token))) chain.push(next);
  return chain;
}

function readHolder(file: string): LockHolder | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unreadable(file, error);
  }
  try {
    const holder = JSON.parse(text) as LockHolder;
    if (/^[0-9a-f-]{36}$/.test(holder.token) && Number.isSafeInteger(holder.pid)) return holder;
  } catch (error) {
    throw unreadable(file, error);
  }
  throw unreadable(file, new Error('it is not a lock'));
}

function unreadable(file: string, cause: unknown): OperationError {
  return new OperationError(
    `reading the lock ${file}`,
    cause instanceof Error ? cause.message : String(cause),
    'make sure that no release runs in this environment, then delete that file',
    { cause },
  );
}

function isAlive(holder: LockHolder): boolean {
  return whyDead(holder) === undefined;
}

function whyDead(holder: LockHolder): string | undefined {
  if (holder.host !== hostname()) {
    return Date.parse(holder.leaseUntil) > Date.now()
      ? undefined
      : `no sign of life from ${holder.host} since its lease ended at ${holder.leaseUntil}`;
  }
  return whyGone(holder);
}
