import { hostname } from 'node:os';
import { OperationError } from '../lib/errors.ts';
import type { EnvironmentName } from '../model.ts';

/** The command that holds the lease of an environment. */
export interface LeaseHolder {
  token: string;
  owner: string;
  host: string;
  pid: number;
  release: string;
  /** ISO 8601, UTC. */
  since: string;
  leaseUntil: string;
}

export interface Lease {
  readonly holder: LeaseHolder;
  /** A sentence for a person if it was taken over from a dead owner. */
  readonly note: string | undefined;
  /** False once another machine has taken it over because it was not renewed in time. The caller must stop then. */
  held(): boolean;
  unlock(): Promise<void>;
}

/** Another command, on this machine or another one, holds the lease. */
export class LeaseHeldError extends OperationError {
  readonly holder: LeaseHolder;

  /** `what` is locked: the name of an environment, or its directory. */
  constructor(what: string, holder: LeaseHolder) {
    super(
      `locking ${what}`,
      `${holder.owner} has it for release ${holder.release} since ${holder.since} (process ${holder.pid} on ${holder.host})`,
      holder.host === hostname()
        ? 'wait until that release has ended, or end its process: then resume it'
        : `wait until that release has ended; if ${holder.host} is gone, it can be taken over after ${holder.leaseUntil}`,
    );
    this.name = 'LeaseHeldError';
    this.holder = holder;
  }
}

/** State shared by the machines that release to the same environment. */
export interface Shared {
  /**
   * Acquires the lease for one command and renews it until `unlock`. Rejects with a `LeaseHeldError` if another holds
   * it.
   */
  acquire(environment: EnvironmentName, by: { owner: string; release: string; leaseMs?: number }): Promise<Lease>;
  holder(environment: EnvironmentName): Promise<LeaseHolder | undefined>;
  /** Uploads new and changed files of a release's directory. Resolves when they are durable. */
  pushRelease(environment: EnvironmentName, id: string, directory: string): Promise<void>;
  /**
   * Downloads the releases of an environment into `directory`, one folder each. Of each file the newer version is kept.
   */
  pullReleases(environment: EnvironmentName, directory: string): Promise<void>;
}
