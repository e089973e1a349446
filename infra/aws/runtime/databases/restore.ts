import {
  ModifyDBInstanceCommand,
  RestoreDBInstanceFromDBSnapshotCommand,
  RestoreDBInstanceToPointInTimeCommand,
  type DBInstance,
} from '@aws-sdk/client-rds';
import { greenlight } from '../../../lib/command.ts';
import { OperationError } from '../../../lib/errors.ts';
import type { DatabaseAccess, ScratchDatabase } from '../../../platform/databases.ts';
import { databasePort } from '../../lib/names.ts';
import type { Clients } from '../client/clients.ts';
import { calling, codeOf } from '../client/errors.ts';
import { detachCopy, inSession, isRefusedLogin } from './roles.ts';
import { untilAvailable, type InstanceWaits } from './instance.ts';
import { openScratch, type NewInstance } from './scratch.ts';
import type { Setting } from '../client/setting.ts';
import { until } from '../client/waiting.ts';

/**
 * Restores backups into scratch instances. They have the colours' instance class, so that a rehearsal takes as long.
 */

export const restoreSnapshot = (
  setting: Setting,
  snapshot: string,
  purpose: string,
  waits: InstanceWaits,
): Promise<ScratchDatabase> =>
  restored(setting, purpose, waits, async ({ identifier, common }) => {
    const { instanceClass } = setting.settings.database;
    await setting.clients.databases.send(
      new RestoreDBInstanceFromDBSnapshotCommand({
        ...common,
        DBInstanceIdentifier: identifier,
        DBSnapshotIdentifier: snapshot,
        DBInstanceClass: instanceClass,
        Port: databasePort,
      }),
    );
  });

/**
 * Restores `source` as it was at `time`, to the second. RDS covers the last `backupDays`, except about the last five
 * minutes.
 */
export const restoreMoment = (
  setting: Setting,
  source: string,
  time: Date,
  waits: InstanceWaits,
): Promise<ScratchDatabase> =>
  restored(setting, `${source} at ${time.toISOString()}`, waits, async ({ identifier, common }) => {
    const { instanceClass } = setting.settings.database;
    await setting.clients.databases.send(
      new RestoreDBInstanceToPointInTimeCommand({
        ...common,
        SourceDBInstanceIdentifier: source,
        TargetDBInstanceIdentifier: identifier,
        RestoreTime: time,
        DBInstanceClass: instanceClass,
        Port: databasePort,
      }),
    );
  });

function restored(
  setting: Setting,
  purpose: string,
  waits: InstanceWaits,
  make: (instance: NewInstance) => Promise<void>,
): Promise<ScratchDatabase> {
  const { clients } = setting;
  return openScratch(setting, { kind: 'restore', purpose, waits }, make, async (access, instance) => {
    await takeOver(clients, instance, access, waits);
    await detachCopy(access);
  });
}

/** The copy keeps the master user of the original. Sets a new password that only this process knows. */
async function takeOver(
  clients: Clients,
  instance: DBInstance,
  access: DatabaseAccess,
  waits: InstanceWaits,
): Promise<void> {
  const identifier = instance.DBInstanceIdentifier ?? '';
  const doing = `setting the master user's password of ${identifier}`;
  const todo = `look at the events of the instance in the RDS console, then: ${greenlight('resume')}`;
  const { pollMs, settleMs } = waits;
  // RDS refuses a password while it manages the password itself.
  const managed = instance.MasterUserSecret === undefined ? {} : { ManageMasterUserPassword: false };
  const password = { MasterUserPassword: access.admin.password, ApplyImmediately: true };
  // The restore call sets this as well. A copy that inherited its original's deletion protection could not be deleted.
  const deletable = { DeletionProtection: false };
  const command = new ModifyDBInstanceCommand({
    DBInstanceIdentifier: identifier,
    ...password,
    ...deletable,
    ...managed,
  });
  const retry = (error: unknown) => /InvalidDBInstanceState/.test(codeOf(error));
  await calling(doing, () =>
    until({ doing, deadlineMs: settleMs, pollMs, todo, retry }, () => clients.databases.send(command)),
  );
  // RDS applies the password after it has answered, and its status does not always show that. Only a login proves it.
  await until({ doing, deadlineMs: settleMs, pollMs, todo, retry: isRefusedLogin }, async () => {
    await untilAvailable(clients, identifier, doing, waits);
    return inSession(access, 'admin', () => Promise.resolve({}));
  });
}

/** Throws an OperationError for a time that RDS cannot restore to. */
export function checkTime(time: Date, latest: Date | undefined): void {
  const doing = `restoring to ${Number.isNaN(time.getTime()) ? 'that time' : time.toISOString()}`;
  if (Number.isNaN(time.getTime())) throw new OperationError(doing, 'it is no time', 'give a time as ISO 8601');
  if (latest === undefined || time <= latest) return;
  throw new OperationError(
    doing,
    `the latest time that can be restored is ${latest.toISOString()}`,
    'wait a few minutes, or take an earlier time',
  );
}
