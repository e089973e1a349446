import { DeleteObjectCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import {
  CreateDBSnapshotCommand,
  DeleteDBSnapshotCommand,
  DescribeDBSnapshotsCommand,
  paginateDescribeDBSnapshots,
  type DBSnapshot,
} from '@aws-sdk/client-rds';
import { OperationError } from '../../errors.ts';
import type { Colour } from '../../model.ts';
import type { Backup, Backups, Databases, ScratchDatabase, StackOutputs } from '../../platform.ts';
import { backupId, checkedId, damagedBackup, parseRecord, recordKey, serialiseRecord, snapshotName, type BackupRecord } from './backup-record.ts'; // prettier-ignore
import { colourDatabase } from './databases.ts';
import { describeInstance, instanceWaits, type InstanceWaits } from './database-instance.ts';
import { calling, codeOf, isMissing } from './errors.ts';
import { checkTime, restoreMoment, restoreSnapshot } from './restore.ts';
import { inSession } from './roles.ts';
import type { Setting } from './scratch.ts';
import { asTagList, fromTagList, isLeftOver, shortId, temporaryTag, temporaryTags } from './temporary.ts';
import { until } from './waiting.ts';

export interface BackupsOptions extends Setting {
  outputs: StackOutputs;
  databases: Databases;
  waits?: Partial<InstanceWaits>;
}

export interface AwsBackups extends Backups {
  /** The database of `colour` as it was at `time`, from RDS's own backups, in an instance of its own. */
  restoreToTime(colour: Colour, time: Date): Promise<ScratchDatabase>;
  /** Deletes snapshots that never became a backup, of runs that are over; resolves to their names. Call it while the environment is locked. */
  sweep(): Promise<string[]>;
}

/** Its value is the id of the backup: a snapshot without it is none of ours. */
const backupIdTag = 'greenlight-backup';
/** A snapshot that has no record after this time will get none, ms. */
const unfinishedMs = 12 * 3_600_000;

/** Snapshots of RDS, each with a record in the state bucket. */
export function createAwsBackups(options: BackupsOptions): AwsBackups {
  const { clients, environment, foundation, settings, databases } = options;
  const { application } = foundation.spec;
  const waits = { ...instanceWaits, ...options.waits };
  const bucket = settings.state.bucket;
  const where = (id: string) => ({ Bucket: bucket, Key: recordKey(environment, id) });
  const nameOf = (id: string) => snapshotName(application, environment, id);

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
        await createSnapshot(database.identifier, snapshot, id);
        await untilComplete(snapshot);
        await writeRecord({ backup, application, snapshot, configuration });
      } catch (error) {
        await deleteSnapshot(snapshot).catch(() => undefined);
        throw error;
      }
      return backup;
    });
  }

  /** Bytes of the application's data; what the snapshot holds of the disk is not told. */
  async function sizeOf(colour: Colour): Promise<number> {
    const { rows } = await inSession(await databases.of(colour), 'admin', (client) =>
      client.query<{ bytes: string }>('SELECT pg_database_size(current_database())::text AS bytes'),
    );
    return Number(rows[0]?.bytes);
  }

  /** Its tags say that it is temporary until its record is there: only then is it a backup. */
  async function createSnapshot(instance: string, snapshot: string, id: string): Promise<void> {
    const marks = { environment, application, owner: settings.owner };
    const tags = { ...temporaryTags(marks, 'backup', unfinishedMs), [backupIdTag]: id };
    const command = new CreateDBSnapshotCommand({
      DBInstanceIdentifier: instance,
      DBSnapshotIdentifier: snapshot,
      Tags: asTagList(tags),
    });
    const doing = `making the snapshot ${snapshot}`;
    // AWS's own backup may just be running.
    const retry = (error: unknown) => /InvalidDBInstanceState/.test(codeOf(error));
    const wait = { doing, deadlineMs: waits.settleMs, pollMs: waits.pollMs, todo: 'see the instance in the console' };
    await until({ ...wait, retry }, async () => {
      await clients.databases.send(command).catch((error: unknown) => {
        // An attempt whose answer was lost made it: the name is random.
        if (!/AlreadyExists/.test(codeOf(error))) throw error;
      });
      return {};
    });
  }

  async function untilComplete(snapshot: string): Promise<void> {
    const doing = `making the snapshot ${snapshot}`;
    const wait = { doing, deadlineMs: waits.readyMs, pollMs: waits.pollMs, todo: 'see the snapshot in the console' };
    await until(wait, async () => {
      const found = await describeSnapshot(snapshot);
      if (found?.Status === 'available') return {};
      if (found?.Status === 'failed') throw new OperationError(doing, 'it failed', wait.todo);
      return `it is ${found?.Status ?? 'not known yet'}, ${found?.PercentProgress ?? 0}%`;
    });
  }

  const describeSnapshot = async (snapshot: string): Promise<DBSnapshot | undefined> => {
    try {
      const command = new DescribeDBSnapshotsCommand({ DBSnapshotIdentifier: snapshot });
      return (await clients.databases.send(command)).DBSnapshots?.[0];
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  };

  async function writeRecord(record: BackupRecord): Promise<void> {
    const encrypted = { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: settings.state.key } as const;
    const Body = serialiseRecord(record);
    const content = { Body, ContentType: 'application/json', ChecksumAlgorithm: 'SHA256' } as const;
    await clients.objects.send(new PutObjectCommand({ ...where(record.backup.id), ...encrypted, ...content }));
  }

  const readRecord = async (id: string): Promise<BackupRecord | undefined> => {
    try {
      const { Body } = await clients.objects.send(new GetObjectCommand(where(id)));
      return parseRecord(id, (await Body?.transformToString('utf8')) ?? '');
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  };

  /** Snapshots that this program, here or elsewhere, made of this environment, by the ids in their tags. */
  async function snapshots(): Promise<Map<string, DBSnapshot>> {
    const found = new Map<string, DBSnapshot>();
    const query = { SnapshotType: 'manual' };
    for await (const { DBSnapshots } of paginateDescribeDBSnapshots({ client: clients.databases }, query))
      for (const snapshot of DBSnapshots ?? []) {
        const tags = fromTagList(snapshot.TagList);
        const id = tags[backupIdTag];
        if (id !== undefined && tags['environment'] === environment && snapshot.DBSnapshotIdentifier === nameOf(id))
          found.set(id, snapshot);
      }
    return found;
  }

  async function list(): Promise<Backup[]> {
    return calling('listing the backups', async () => {
      const ids = [...(await snapshots()).keys()].sort().reverse();
      const records = await Promise.all(ids.map((id) => readRecord(id).catch(ifDamaged)));
      return records.flatMap((record) => (record === undefined ? [] : [record.backup]));
    });
  }

  async function verify(backup: Backup): Promise<unknown> {
    const id = checkedId(backup.id);
    return calling(`verifying backup ${id}`, async () => {
      const [record, snapshot] = await Promise.all([readRecord(id), describeSnapshot(nameOf(id))]);
      if (record === undefined) throw damagedBackup(id, 'its record is missing');
      const wanted = { application, environment, id, colour: backup.colour, version: backup.version };
      const found = { application: record.application, ...record.backup };
      for (const key of Object.keys(wanted) as (keyof typeof wanted)[])
        if (wanted[key] !== found[key])
          throw new OperationError(`verifying backup ${id}`, `it is of ${key} ${found[key]}, not ${wanted[key]}`, 'use a backup of this environment'); // prettier-ignore
      if (snapshot === undefined) throw damagedBackup(id, `its snapshot ${nameOf(id)} is missing`);
      if (snapshot.Status !== 'available') throw damagedBackup(id, `its snapshot is ${snapshot.Status}`);
      if (snapshot.Encrypted !== true) throw damagedBackup(id, 'its snapshot is not encrypted');
      return record.configuration;
    });
  }

  async function deleteSnapshot(snapshot: string): Promise<void> {
    const doing = `deleting the snapshot ${snapshot}`;
    const wait = { doing, deadlineMs: waits.settleMs, pollMs: waits.pollMs, todo: 'delete it in the console' };
    const retry = (error: unknown) => /InvalidDBSnapshotState/.test(codeOf(error));
    await until({ ...wait, retry }, async () => {
      await clients.databases.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: snapshot })).catch((error: unknown) => {
        if (!isMissing(error)) throw error;
      }); // prettier-ignore
      return {};
    });
  }

  async function prune(keep: number): Promise<Backup[]> {
    const old = (await list()).slice(keep);
    for (const { id } of old)
      await calling(`deleting backup ${id}`, async () => {
        // In this order, what an interruption leaves is a snapshot without a record, which the sweep deletes.
        await clients.objects.send(new DeleteObjectCommand(where(id)));
        await deleteSnapshot(nameOf(id));
      });
    return old;
  }

  async function sweep(): Promise<string[]> {
    return calling('looking for unfinished snapshots', async () => {
      const swept: string[] = [];
      for (const [id, snapshot] of await snapshots()) {
        const tags = fromTagList(snapshot.TagList);
        if (tags[temporaryTag] === undefined || !isLeftOver(tags, foundation.spec)) continue;
        // A record that is there, whole or not, is for people to look at.
        if ((await readRecord(id).catch(() => true)) !== undefined) continue;
        await deleteSnapshot(nameOf(id));
        swept.push(nameOf(id));
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
      const instance = await calling(`looking for ${database.identifier}`, () => describeInstance(clients, database.identifier)); // prettier-ignore
      checkTime(time, instance?.LatestRestorableTime);
      return restoreMoment(options, database.identifier, time, waits);
    },
  };
}

/** A damaged record is no backup to choose; `verify` says what is wrong with it. */
function ifDamaged(error: unknown): undefined {
  if (!(error instanceof OperationError)) throw error;
}
