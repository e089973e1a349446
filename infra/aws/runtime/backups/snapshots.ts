import {
  AddTagsToResourceCommand,
  CreateDBSnapshotCommand,
  DeleteDBSnapshotCommand,
  DescribeDBSnapshotsCommand,
  paginateDescribeDBSnapshots,
  RemoveTagsFromResourceCommand,
  type DBSnapshot,
} from '@aws-sdk/client-rds';
import { greenlight } from '../../../lib/command.ts';
import { OperationError } from '../../../lib/errors.ts';
import type { InstanceWaits } from '../databases/instance.ts';
import { codeOf, isMissing } from '../client/errors.ts';
import type { Setting } from '../client/setting.ts';
import { asTagList, fromTagList, isLeftOver, temporaryTagNames, temporaryTags } from '../client/temporary.ts';
import { until } from '../client/waiting.ts';
import { createHash } from 'node:crypto';
import type { Backup } from '../../../platform/backups.ts';

/** The value is the backup's id. Greenlight ignores snapshots without this tag. */
const backupIdTag = 'greenlight-backup';
/** Milliseconds after which an incomplete snapshot counts as abandoned. */
const unfinishedMs = 12 * 3_600_000;

/**
 * The snapshots of an environment's backups, by the backups' ids. The tags mark a snapshot as temporary from its
 * creation until `keep`, and again from `giveUp` on. Only a temporary snapshot is ever swept, whatever else is known of
 * the backup.
 */
export interface Snapshots {
  readonly nameOf: (id: string) => string;
  /** Resolves when the snapshot is available. */
  create(instance: string, id: string): Promise<void>;
  keep(id: string): Promise<void>;
  giveUp(id: string): Promise<void>;
  describe(id: string): Promise<DBSnapshot | undefined>;
  /** Ids of all snapshots that Greenlight took of this environment, on any machine. */
  ids(): Promise<string[]>;
  /** Ids of the temporary ones that ended runs left behind. */
  leftOver(): Promise<string[]>;
  remove(id: string): Promise<void>;
}

export function createSnapshots(setting: Setting, waits: InstanceWaits): Snapshots {
  const { environment, foundation, settings } = setting;
  const { databases } = setting.clients;
  const { application } = foundation.spec;
  const nameOf = (id: string) => snapshotName(application, environment, id);
  const temporary = (lifeMs: number) =>
    temporaryTags({ environment, application, owner: settings.owner }, 'backup', lifeMs);

  async function create(instance: string, id: string): Promise<void> {
    const snapshot = nameOf(id);
    const doing = `taking the snapshot ${snapshot}`;
    const command = new CreateDBSnapshotCommand({
      DBInstanceIdentifier: instance,
      DBSnapshotIdentifier: snapshot,
      Tags: asTagList({ ...temporary(unfinishedMs), [backupIdTag]: id }),
    });
    // RDS refuses a snapshot while its own backup is running.
    const retry = (error: unknown) => /InvalidDBInstanceState/.test(codeOf(error));
    const asked = {
      doing,
      deadlineMs: waits.settleMs,
      pollMs: waits.pollMs,
      todo: 'look at the instance in the RDS console',
    };
    await until({ ...asked, retry }, async () => {
      await databases.send(command).catch((error: unknown) => {
        // The name is random, so an earlier attempt of this call made the snapshot and its answer was lost.
        if (!/AlreadyExists/.test(codeOf(error))) throw error;
      });
      return {};
    });
    const wait = {
      doing,
      deadlineMs: waits.readyMs,
      pollMs: waits.pollMs,
      todo: 'look at the snapshot in the RDS console',
    };
    await until(wait, async () => {
      const found = await describe(id);
      if (found?.Status === 'available') return {};
      if (found?.Status === 'failed') throw new OperationError(doing, 'it failed', wait.todo);
      return `it is ${found?.Status ?? 'not known yet'}, ${found?.PercentProgress ?? 0}%`;
    });
  }

  async function describe(id: string): Promise<DBSnapshot | undefined> {
    try {
      const command = new DescribeDBSnapshotsCommand({ DBSnapshotIdentifier: nameOf(id) });
      return (await databases.send(command)).DBSnapshots?.[0];
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async function arnOf(id: string): Promise<string> {
    const arn = (await describe(id))?.DBSnapshotArn;
    if (arn !== undefined) return arn;
    throw new OperationError(`tagging the snapshot ${nameOf(id)}`, 'it no longer exists', 'take a new backup');
  }

  async function all(): Promise<Map<string, DBSnapshot>> {
    const found = new Map<string, DBSnapshot>();
    const query = { SnapshotType: 'manual' };
    for await (const { DBSnapshots } of paginateDescribeDBSnapshots({ client: databases }, query))
      for (const snapshot of DBSnapshots ?? []) {
        const tags = fromTagList(snapshot.TagList);
        const id = tags[backupIdTag];
        if (id !== undefined && tags['environment'] === environment && snapshot.DBSnapshotIdentifier === nameOf(id))
          found.set(id, snapshot);
      }
    return found;
  }

  async function remove(id: string): Promise<void> {
    const doing = `deleting the snapshot ${nameOf(id)}`;
    const wait = { doing, deadlineMs: waits.settleMs, pollMs: waits.pollMs, todo: 'delete it in the RDS console' };
    const retry = (error: unknown) => /InvalidDBSnapshotState/.test(codeOf(error));
    const command = new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: nameOf(id) });
    await until({ ...wait, retry }, async () => {
      await databases.send(command).catch((error: unknown) => {
        if (!isMissing(error)) throw error;
      });
      return {};
    });
  }

  return {
    nameOf,
    create,
    describe,
    remove,
    keep: async (id) => {
      const command = new RemoveTagsFromResourceCommand({ ResourceName: await arnOf(id), TagKeys: temporaryTagNames });
      await databases.send(command);
    },
    giveUp: async (id) => {
      const command = new AddTagsToResourceCommand({ ResourceName: await arnOf(id), Tags: asTagList(temporary(0)) });
      await databases.send(command);
    },
    ids: async () => [...(await all()).keys()],
    leftOver: async () => {
      const found = [...(await all())];
      return found.flatMap(([id, { TagList }]) => (isLeftOver(fromTagList(TagList), foundation.spec) ? [id] : []));
    },
  };
}

/**
 * The record of a backup, an object in S3 with a checksum: what the snapshot is of, and the configuration that belongs
 * to it. It is written last, so a backup is complete when its record exists.
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

/** Throws an OperationError if the text was changed. */
export function parseRecord(id: string, text: string): BackupRecord {
  try {
    const { record } = JSON.parse(text) as { record: BackupRecord };
    if (serialiseRecord(record) === text) return record;
  } catch {
    // Text that is not JSON is damaged like any other that was changed.
  }
  throw damagedBackup(id, 'its record does not match its own checksum');
}

export const damagedBackup = (id: string, found: string): OperationError =>
  new OperationError(`verifying backup ${id}`, found, 'take a new backup; do not restore this one');

/** The time comes first, so that sorting by name sorts by time. In lower case, as RDS stores names so. */
export const backupId = (at: Date, colour: string, random: string): string =>
  `${at.toISOString().replaceAll(/[-:.]/g, '').toLowerCase()}-${colour}-${random}`;

const idPattern = /^\d{8}t\d{9}z-(?:blue|green)-[0-9a-f]{8}$/;

export function checkedId(id: string): string {
  if (idPattern.test(id)) return id;
  throw new OperationError(
    'looking for a backup',
    `${JSON.stringify(id)} is not the name of one`,
    `choose one from: ${greenlight('status')}`,
  );
}

export const snapshotName = (application: string, environment: string, id: string): string =>
  `${application}-${environment}-${id}`;

export const recordKey = (environment: string, id: string): string => `greenlight/backups/${environment}/${id}.json`;
