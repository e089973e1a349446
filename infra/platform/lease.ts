import { hostname } from 'node:os';
import { OperationError } from '../lib/errors.ts';
import type { EnvironmentName } from '../model.ts';

/** Who has an environment. */
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
  /** One sentence where it was taken over from a dead owner. */
  readonly note: string | undefined;
  /** False once another machine took it over (this one was silent for longer than the lease): stop then. */
  held(): boolean;
  unlock(): Promise<void>;
}

/** Another machine, or another command, has the environment. */
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

/** What machines that release to the same environment share. */
export interface Shared {
  /** Takes the environment for one command, renewed until it is released. Rejects with a `LeaseHeldError` where another has it. */
  acquire(environment: EnvironmentName, by: { owner: string; release: string; leaseMs?: number }): Promise<Lease>;
  holder(environment: EnvironmentName): Promise<LeaseHolder | undefined>;
  /** Stores what is new or changed of a release's directory. Resolves when it is durable. */
  pushRelease(environment: EnvironmentName, id: string, directory: string): Promise<void>;
  /** Brings the releases of an environment that another machine made into `directory` (one folder each); the newer side of each file wins. */
  pullReleases(environment: EnvironmentName, directory: string): Promise<void>;
}
