import { DeleteObjectCommand, GetObjectCommand, NoSuchKey, PutObjectCommand } from '@aws-sdk/client-s3';
import { OperationError } from '../../../lib/errors.ts';
import type { Colour } from '../../../model.ts';
import type { Backup, Backups } from '../../../platform/backups.ts';
import type { Databases, ScratchDatabase } from '../../../platform/databases.ts';
import type { StackOutputs } from '../../../platform/platform.ts';
import {
  backupId,
  checkedId,
  damagedBackup,
  parseRecord,
  recordKey,
  serialiseRecord,
  type BackupRecord,
  createSnapshots,
} from './snapshots.ts';
import { colourDatabase } from '../databases/databases.ts';
import { describeInstance, instanceWaits, type InstanceWaits } from '../databases/instance.ts';
import { calling } from '../client/errors.ts';
import { checkTime, restoreMoment, restoreSnapshot } from '../databases/restore.ts';
import { inSession } from '../databases/roles.ts';
import type { Setting } from '../client/setting.ts';
import { shortId } from '../client/temporary.ts';

export interface BackupsOptions extends Setting {
  outputs: StackOutputs;
  databases: Databases;
  waits?: Partial<InstanceWaits>;
}

export interface AwsBackups extends Backups {
  /**
   * The database of `colour` as it was at `time`, restored from RDS's automated backups into an instance of its own.
   */
  restoreToTime(colour: Colour, time: Date): Promise<ScratchDatabase>;
  /**
   * Deletes snapshots of ended runs that never became a backup. Resolves to their names. Call it only while the
   * environment is locked.
   */
  sweep(): Promise<string[]>;
}

/** Snapshots of RDS, each with a record in the state bucket. */
export function createAwsBackups(options: BackupsOptions): AwsBackups {
  const { clients, environment, settings, databases } = options;
  const { application } = options.foundation.spec;
  const waits = { ...instanceWaits, ...options.waits };
  const bucket = settings.state.bucket;
  const where = (id: string) => ({ Bucket: bucket, Key: recordKey(environment, id) });
  const snapshots = createSnapshots(options, waits);
  const { nameOf } = snapshots;

  async function take(colour: Colour, version: string, configuration: unknown): Promise<Backup> {
    const takenAt = new Date();
    const id = backupId(takenAt, colour, shortId());
    const snapshot = nameOf(id);
    const { database } = await colourDatabase(options.outputs, colour);
    const bytes = await sizeOf(colour);
    const location = `snapshot ${snapshot}, s3://${bucket}/${recordKey(environment, id)}`;
    const backup: Backup = { id, environment, colour, version, takenAt: takenAt.toISOString(), bytes, location };
    return calling(`backing up the database of ${colour}`, async () => {
      try {
        await snapshots.create(database.identifier, id);
        await writeRecord({ backup, application, snapshot, configuration });
        await snapshots.keep(id);
      } catch (error) {
        await Promise.allSettled([deleteRecord(id), snapshots.remove(id)]);
        throw error;
      }
      return backup;
    });
  }

  /** Bytes of the application's data: RDS does not report the size of a snapshot. */
  async function sizeOf(colour: Colour): Promise<number> {
    const { rows } = await inSession(await databases.of(colour), 'admin', (client) =>
      client.query<{ bytes: string }>('SELECT pg_database_size(current_database())::text AS bytes'),
    );
    return Number(rows[0]?.bytes);
  }

  async function writeRecord(record: BackupRecord): Promise<void> {
    const encrypted = { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: settings.state.key } as const;
    const Body = serialiseRecord(record);
    const content = { Body, ContentType: 'application/json', ChecksumAlgorithm: 'SHA256' } as const;
    await clients.objects.send(new PutObjectCommand({ ...where(record.backup.id), ...encrypted, ...content }));
  }

  const deleteRecord = (id: string) => clients.objects.send(new DeleteObjectCommand(where(id)));

  /**
   * Undefined if the bucket says that the record does not exist. A missing bucket or key says nothing about the record.
   */
  const readRecord = async (id: string): Promise<BackupRecord | undefined> => {
    try {
      const { Body } = await clients.objects.send(new GetObjectCommand(where(id)));
      return parseRecord(id, (await Body?.transformToString('utf8')) ?? '');
    } catch (error) {
      if (error instanceof NoSuchKey) return undefined;
      throw error;
    }
  };

  async function list(): Promise<Backup[]> {
    return calling('listing the backups', async () => {
      const ids = (await snapshots.ids()).sort().reverse();
      const records = await Promise.all(ids.map((id) => readRecord(id).catch(ifDamaged)));
      return records.flatMap((record) => (record === undefined ? [] : [record.backup]));
    });
  }

  async function verify(backup: Backup): Promise<unknown> {
    const id = checkedId(backup.id);
    return calling(`verifying backup ${id}`, async () => {
      const [record, snapshot] = await Promise.all([readRecord(id), snapshots.describe(id)]);
      if (record === undefined) throw damagedBackup(id, 'its record is missing');
      const wanted = { application, environment, id, colour: backup.colour, version: backup.version };
      const found = { application: record.application, ...record.backup };
      for (const key of Object.keys(wanted) as (keyof typeof wanted)[])
        if (wanted[key] !== found[key])
          throw new OperationError(
            `verifying backup ${id}`,
            `it is of ${key} ${found[key]}, not ${wanted[key]}`,
            'use a backup of this environment',
          );
      if (snapshot === undefined) throw damagedBackup(id, `its snapshot ${nameOf(id)} is missing`);
      if (snapshot.Status !== 'available') throw damagedBackup(id, `its snapshot is ${snapshot.Status}`);
      if (snapshot.Encrypted !== true) throw damagedBackup(id, 'its snapshot is not encrypted');
      return record.configuration;
    });
  }

  async function prune(keep: number): Promise<Backup[]> {
    const old = (await list()).slice(keep);
    for (const { id } of old)
      await calling(`deleting backup ${id}`, async () => {
        // In this order, an interruption leaves either a complete backup or a snapshot that the sweep deletes.
        await snapshots.giveUp(id);
        await deleteRecord(id);
        await snapshots.remove(id);
      });
    return old;
  }

  async function sweep(): Promise<string[]> {
    return calling('looking for unfinished snapshots', async () => {
      const swept: string[] = [];
      for (const id of await snapshots.leftOver()) {
        // A damaged or unreadable record is kept, so that a person can look at it.
        const found = await readRecord(id).catch(() => 'not readable');
        if (found === 'not readable') continue;
        if (found === undefined) {
          await snapshots.remove(id);
          swept.push(nameOf(id));
        } else {
          // It has a record, but its run was interrupted before `keep`: the backup is complete.
          await snapshots.keep(id);
        }
      }
      return swept;
    });
  }

  return {
    take,
    list,
    verify,
    prune,
    sweep,
    restore: async (backup) => restoreSnapshot(options, nameOf(checkedId(backup.id)), `restoring ${backup.id}`, waits),
    restoreToTime: async (colour, time) => {
      const { database } = await colourDatabase(options.outputs, colour);
      const instance = await calling(`looking for ${database.identifier}`, () =>
        describeInstance(clients, database.identifier),
      );
      checkTime(time, instance?.LatestRestorableTime);
      return restoreMoment(options, database.identifier, time, waits);
    },
  };
}

/** A backup with a damaged record is not listed; `verify` reports what is wrong with it. */
function ifDamaged(error: unknown): undefined {
  if (!(error instanceof OperationError)) throw error;
}
