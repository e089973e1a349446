import type { Colour, EnvironmentName } from '../model.ts';
import type { ScratchDatabase } from './databases.ts';

export interface Backup {
  id: string;
  environment: EnvironmentName;
  colour: Colour;
  version: string;
  /** ISO 8601, UTC. The backup contains everything committed by then, and possibly slightly later commits. */
  takenAt: string;
  bytes: number;
  /** What it has of `application.files`. Absent: there are none. */
  files?: { count: number; bytes: number };
  /** LSN at which the backup is consistent. Absent if the platform does not provide it. */
  lsn?: string;
  /** Where it is stored, for a person. */
  location: string;
}

export interface Backups {
  /** Backs up the database and `configuration` (JSON) together. Checksums cover both. */
  take(colour: Colour, version: string, configuration: unknown): Promise<Backup>;
  /** Newest first. */
  list(): Promise<Backup[]>;
  /** Verifies the checksums of everything stored and resolves to the configuration. Rejects with what is damaged. */
  verify(backup: Backup): Promise<unknown>;
  /** Restores into a new scratch cluster. The roles have the passwords in the returned access. */
  restore(backup: Backup): Promise<ScratchDatabase>;
  /** Deletes all but the newest `keep`. Resolves to the deleted backups. */
  prune(keep: number): Promise<Backup[]>;
}
