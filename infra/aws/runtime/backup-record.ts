import { createHash } from 'node:crypto';
import { OperationError } from '../../errors.ts';
import type { Backup } from '../../platform.ts';

/**
 * What stands beside a snapshot, as an object: what it is of, and the configuration that belongs to it, with a checksum. A backup
 * is complete when its record is there; it is written last.
 */
export interface BackupRecord {
  backup: Backup;
  application: string;
  /** Identifier of the snapshot. */
  snapshot: string;
  configuration: unknown;
}

export const serialiseRecord = (record: BackupRecord): string => {
  const sha256 = createHash('sha256').update(JSON.stringify(record)).digest('hex');
  return `${JSON.stringify({ record, sha256 }, null, 2)}\n`;
};

/** Throws an OperationError where the text was changed. */
export function parseRecord(id: string, text: string): BackupRecord {
  try {
    const { record } = JSON.parse(text) as { record: BackupRecord };
    if (serialiseRecord(record) === text) return record;
  } catch {
    // No JSON any more: the same as another JSON.
  }
  throw damagedBackup(id, 'its record does not match its own checksum');
}

export const damagedBackup = (id: string, found: string): OperationError =>
  new OperationError(`verifying backup ${id}`, found, 'take a new backup; do not restore this one');

/** Time first, so that the order of names is that of time. Small letters: RDS writes names so. */
export const backupId = (at: Date, colour: string, random: string): string =>
  `${at.toISOString().replaceAll(/[-:.]/g, '').toLowerCase()}-${colour}-${random}`;

const idPattern = /^\d{8}t\d{9}z-(?:blue|green)-[0-9a-f]{8}$/;

export function checkedId(id: string): string {
  if (idPattern.test(id)) return id;
  throw new OperationError(
    'looking for a backup',
    `${JSON.stringify(id)} is not the name of one`,
    'choose one from: npm run status',
  );
}

export const snapshotName = (application: string, environment: string, id: string): string => `${application}-${environment}-${id}`; // prettier-ignore

export const recordKey = (environment: string, id: string): string => `greenlight/backups/${environment}/${id}.json`;
