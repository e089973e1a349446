import type { Artefact, EnvironmentName } from '../model.ts';
import type { Router } from './router.ts';
import type { Databases } from './databases.ts';
import type { Backups } from './backups.ts';
import type { Jobs, Previews } from './jobs.ts';
import type { Metrics } from './metrics.ts';
import type { Alerts } from './alerts.ts';
import type { Instances } from './instances.ts';
import type { Workers } from './workers.ts';

/** A running environment, as the stages see it. */
export interface Environment {
  readonly name: EnvironmentName;
  readonly router: Router;
  readonly databases: Databases;
  readonly backups: Backups;
  readonly jobs: Jobs;
  readonly metrics: Metrics;
  readonly alerts: Alerts;
  readonly instances: Instances;
  readonly previews: Previews;
  /** Absent: the platform runs none, and a definition that has some is refused. */
  readonly workers?: Workers;
  /** Prepares an artefact to run in this environment. Called before a colour or job uses it. Idempotent. */
  provide(artefact: Artefact): Promise<void>;
  /**
   * Removes what earlier runs left behind (scratch databases, tasks, secrets) and resolves to their names. The caller
   * must hold the lease of the environment. Absent: nothing to call, because the platform removes leftovers itself when
   * it next creates such things.
   */
  sweep?(): Promise<string[]>;
  /** Facts for the policy gate. */
  audit(): Promise<AuditFacts>;
  close(): Promise<void>;
}

/** How the environment is protected, read from the platform. Undefined: could not be determined. */
export interface AuditFacts {
  secretFiles?: { path: string; mode: number }[] | undefined;
  /** Addresses on which it listens, as `host:port`. */
  listeners?: string[] | undefined;
  /** Ports that are meant to be public. */
  publicPorts?: number[] | undefined;
  volumeEncrypted?: boolean | undefined;
}
