import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createFileSync, replaceFileSync } from '../../infra/lib/atomic-file.ts';
import { OperationError } from '../../infra/lib/errors.ts';
import { LeaseHeldError, type LeaseHolder } from '../../infra/platform/lease.ts';
import { processIdentity, whyGone } from '../../infra/lib/process-identity.ts';

/**
 * One command per environment at a time. The first owner creates `lock.json`. Takeover: hard-link `lock.<dead owner's
 * token>.json`. `link` fails if the name exists, so one process wins. The last file of that chain is the lock in force.
 * No file is renamed away or replaced, so no process can remove the lock that another one has just taken.
 */

export const lockFile = 'lock.json';
/** A lock of another machine expires this long after its last renewal, ms. */
const defaultLeaseMs = 60_000;

export interface LockHolder extends LeaseHolder {
  /** Identity of the process from the system: a later process with the same pid has another one. */
  processStart: string;
}

export interface Lock {
  readonly holder: LockHolder;
  /** One sentence if the lock was taken over from a dead owner; otherwise undefined. */
  readonly note: string | undefined;
  /**
   * False once another machine has taken the lock over, because it was not renewed in time. The command must stop then.
   */
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
 * Locks the environment for one command, and renews the lock until `unlock`. Throws a LockedError if a living owner has
 * it, an OperationError if the lock cannot be read.
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
    // If the previous owner unlocked in between, no chain leads to this file, so it does not lock. Try again.
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
        // `lock.json` first: without it the rest of the chain is not read.
        rmSync(at(), { force: true });
        for (const link of chain) rmSync(at(link.token), { force: true });
      },
    };
  }
}

/** The holder of the lock; undefined if it is free or the owner is dead. Changes nothing. */
export function readLock(environmentDirectory: string): LockHolder | undefined {
  const last = readChain((token) => join(environmentDirectory, token ? `lock.${token}.json` : lockFile)).at(-1);
  return last && isAlive(last) ? last : undefined;
}

/** All owners, oldest first. The last one holds the lock. */
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
    'make sure that no release runs in this environment, then delete this file',
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
      : `${holder.host} has not renewed it; it expired at ${holder.leaseUntil}`;
  }
  return whyGone(holder);
}
