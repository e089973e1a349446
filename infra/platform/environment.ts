import type { Artefact, EnvironmentName } from '../model.ts';
import type { Router } from './router.ts';
import type { Databases } from './databases.ts';
import type { Backups } from './backups.ts';
import type { Jobs, Previews } from './jobs.ts';
import type { Metrics } from './metrics.ts';
import type { Alerts } from './alerts.ts';
import type { Instances } from './instances.ts';

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
  /** Makes an artefact ready to run here: called before a colour or a job gets it. May be repeated. */
  provide(artefact: Artefact): Promise<void>;
  /**
   * Removes what runs that are over left behind (scratch databases, tasks, secrets); resolves to their names. Only while this
   * program has the environment. Absent: it ends with the program, or is found by its next start.
   */
  sweep?(): Promise<string[]>;
  /** What policies are judged by. */
  audit(): Promise<AuditFacts>;
  close(): Promise<void>;
}

/** How the environment is protected, read from the platform; a part that it cannot tell is undefined. */
export interface AuditFacts {
  secretFiles?: { path: string; mode: number }[] | undefined;
  /** Addresses on which its ports are open, as `host:port`. */
  listeners?: string[] | undefined;
  /** Of them, those meant for everybody. */
  publicPorts?: number[] | undefined;
  volumeEncrypted?: boolean | undefined;
}
