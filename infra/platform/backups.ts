import type { Colour, EnvironmentName } from '../model.ts';
import type { ScratchDatabase } from './databases.ts';

export interface Backup {
  id: string;
  environment: EnvironmentName;
  colour: Colour;
  version: string;
  /** ISO 8601, UTC: the state of the data is of this instant or a little later. */
  takenAt: string;
  bytes: number;
  /** LSN at which the backup is consistent; absent where the platform does not tell. */
  lsn?: string;
  /** Where it is, for a person. */
  location: string;
}

export interface Backups {
  /** Backs up the database and `configuration` (JSON) together. Checksums cover both. */
  take(colour: Colour, version: string, configuration: unknown): Promise<Backup>;
  /** Newest first. */
  list(): Promise<Backup[]>;
  /** Checks every stored byte against its checksum; rejects with what is damaged. Returns the configuration. */
  verify(backup: Backup): Promise<unknown>;
  /** Restores into a scratch cluster of its own; the roles' passwords are those of the returned access. */
  restore(backup: Backup): Promise<ScratchDatabase>;
  /** Deletes all but the newest `keep`; returns what was deleted. */
  prune(keep: number): Promise<Backup[]>;
}
