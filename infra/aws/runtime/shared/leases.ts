import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { S3Client } from '@aws-sdk/client-s3';
import type { EnvironmentName } from '../../../model.ts';
import { placeOfProcesses, processIdentity, unknownPlace, whyGone } from '../../../lib/process-identity.ts';
import { LeaseHeldError, type Lease, type Shared } from '../../../platform/lease.ts';
import { LeaseObject, type LeaseRecord, type StoredLease } from './lease-object.ts';

/**
 * Allows one command per environment at a time, across all machines that release. The lease is an object in S3, written
 * only on condition that nobody has changed it since it was read. Only S3's clock decides whether it has ended, so
 * machines' clocks may differ.
 */
export type Leases = Pick<Shared, 'acquire' | 'holder'>;

/** A machine that stopped renewing its lease counts as dead after this time, as on the local platform. */
const defaultLeaseMs = 60_000;

/**
 * Timeout of one renewal, and the pause after a failed one, ms. Shorter for a short lease, so that a lease survives a
 * few failures.
 */
const [renewalMs, retryMs] = [5_000, 1_500];

export function s3Leases(objects: S3Client, bucket: string): Leases {
  const at = (environment: EnvironmentName) => new LeaseObject(objects, bucket, environment);
  return {
    async acquire(environment, by) {
      const object = at(environment);
      const mine = newRecord(by);
      for (;;) {
        const found = await object.read();
        const dead = found && whyDead(found);
        if (found !== undefined && dead === undefined) throw new LeaseHeldError(environment, found.record);
        const asked = moment();
        const etag = await object.write(mine, found?.etag);
        if (etag !== undefined) return new HeldLease(object, mine, { etag, asked, note: found && took(found, dead) });
        await sleep(50 + Math.random() * 100);
      }
    },

    async holder(environment) {
      const found = await at(environment).read();
      return found === undefined || whyDead(found) !== undefined ? undefined : found.record;
    },
  };
}

function newRecord({ owner, release, leaseMs = defaultLeaseMs }: Parameters<Shared['acquire']>[1]): LeaseRecord {
  return {
    token: randomUUID(),
    owner,
    host: hostname(),
    pid: process.pid,
    release,
    since: new Date().toISOString(),
    leaseUntil: new Date(Date.now() + leaseMs).toISOString(),
    processStart: processIdentity(process.pid) ?? 'unknown',
    place: placeOfProcesses(),
    leaseMs,
    renewal: 0,
  };
}

/** Why the owner counts as dead. Undefined while it may be alive. */
function whyDead({ record, ended }: StoredLease): string | undefined {
  if (record.place !== unknownPlace && record.place === placeOfProcesses()) return whyGone(record);
  return ended ? `no sign of life from ${record.host} since its lease ended at ${record.leaseUntil}` : undefined;
}

const took = ({ record }: StoredLease, why = ''): string =>
  `took over the lock of release ${record.release} by ${record.owner}: ${why}`;

/** The time by both clocks: the monotonic clock stops while the machine sleeps, and the wall clock can be set. */
const moment = (): { steady: number; wall: number } => ({ steady: performance.now(), wall: Date.now() });

class HeldLease implements Lease {
  readonly holder: LeaseRecord;
  readonly note: string | undefined;
  readonly #object: LeaseObject;
  #etag: string;
  /** When the last write that S3 accepted was requested. The lease began at that time or later. */
  #asked: ReturnType<typeof moment>;
  #lost = false;
  readonly #end = new AbortController();
  readonly #renewing: Promise<void>;

  constructor(
    object: LeaseObject,
    holder: LeaseRecord,
    got: { etag: string; asked: ReturnType<typeof moment>; note: string | undefined },
  ) {
    this.#object = object;
    this.holder = holder;
    this.note = got.note;
    this.#etag = got.etag;
    this.#asked = got.asked;
    this.#renewing = this.#renew();
  }

  held(): boolean {
    if (this.#lost) return false;
    const now = moment();
    return Math.max(now.steady - this.#asked.steady, now.wall - this.#asked.wall) < this.holder.leaseMs;
  }

  async unlock(): Promise<void> {
    if (this.#end.signal.aborted) return;
    this.#end.abort();
    await this.#renewing;
    if (this.#lost) return;
    // If S3 cannot be reached, the lease expires by itself. The work done under the lease does not fail because of
    // that.
    await this.#object.remove(this.#etag).catch(() => undefined);
  }

  async #renew(): Promise<void> {
    const { leaseMs } = this.holder;
    const { signal } = this.#end;
    const limit = Math.min(renewalMs, leaseMs / 3);
    let pause = leaseMs / 3;
    while (!this.#lost) {
      await sleep(pause, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      // Meanwhile the lease runs out, and `held` says so.
      const renewed = await this.#renewOnce(AbortSignal.timeout(limit)).then(
        () => true,
        () => false,
      );
      pause = renewed ? leaseMs / 3 : Math.min(retryMs, leaseMs / 10);
    }
  }

  async #renewOnce(signal: AbortSignal): Promise<void> {
    const { holder } = this;
    const asked = moment();
    holder.renewal += 1;
    holder.leaseUntil = new Date(asked.wall + holder.leaseMs).toISOString();
    const etag = (await this.#object.write(holder, this.#etag, signal)) ?? (await this.#late(signal));
    if (etag === undefined) this.#lost = true;
    else {
      this.#etag = etag;
      this.#asked = asked;
    }
  }

  /** A renewal that timed out here may have succeeded at S3. Then the object is still ours, with another ETag. */
  async #late(signal: AbortSignal): Promise<string | undefined> {
    const now = await this.#object.read(signal);
    return now?.record.token === this.holder.token ? this.#object.write(this.holder, now.etag, signal) : undefined;
  }
}

/**
 * Wraps `shared` so that `refuse` runs once before its first use, because locks and journals are the first things that
 * a command writes. `refuse` rejects if the credentials belong to another account. After a rejection it runs again on
 * the next use.
 */
export function inOwnAccount(shared: Shared, refuse: () => Promise<void>): Shared {
  let asked: Promise<void> | undefined;
  const first = (): Promise<void> =>
    (asked ??= refuse().catch((error: unknown) => {
      asked = undefined;
      throw error;
    }));
  return {
    acquire: (environment, by) => first().then(() => shared.acquire(environment, by)),
    holder: (environment) => first().then(() => shared.holder(environment)),
    pushRelease: (...release) => first().then(() => shared.pushRelease(...release)),
    pullReleases: (...releases) => first().then(() => shared.pullReleases(...releases)),
  };
}
