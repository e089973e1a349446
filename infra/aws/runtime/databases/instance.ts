import { DeleteDBInstanceCommand, DescribeDBInstancesCommand, type DBInstance } from '@aws-sdk/client-rds';
import { greenlight } from '../../../lib/command.ts';
import { OperationError } from '../../../lib/errors.ts';
import type { InstanceState } from '../../../platform/instances.ts';
import type { Clients } from '../client/clients.ts';
import { calling, codeOf, isMissing } from '../client/errors.ts';
import { until } from '../client/waiting.ts';

type DatabaseClient = Pick<Clients, 'databases'>;

export interface InstanceWaits {
  /** Poll interval for an instance, ms. */
  pollMs: number;
  /** Longest time until a new or restored instance is available, ms. A large snapshot takes more than an hour. */
  readyMs: number;
  /**
   * Longest time until RDS accepts a change, such as a new password, or the deletion of an instance that is still being
   * created, ms.
   */
  settleMs: number;
}

export const instanceWaits: InstanceWaits = { pollMs: 15_000, readyMs: 3 * 3_600_000, settleMs: 30 * 60_000 };

/** The state behind a status of RDS. Most statuses name a change during which the instance goes on serving. */
export function instanceState(status: string): InstanceState['state'] {
  if (['creating', 'starting', 'rebooting'].includes(status)) return 'starting';
  if (['stopped', 'stopping', 'deleting'].includes(status)) return 'stopped';
  const broken = /^(failed|incompatible-|inaccessible-|storage-full|restore-error)/.test(status);
  return broken ? 'failed' : 'running';
}

/** Whether the instance needs a person to leave this status. */
const isBroken = (status: string): boolean => status === 'stopped' || instanceState(status) === 'failed';

/** Host and port of an instance. Throws an OperationError if it has no address. */
export function endpointOf({ Endpoint, DBInstanceIdentifier }: DBInstance): { host: string; port: number } {
  if (Endpoint?.Address === undefined || Endpoint.Port === undefined)
    throw new OperationError(
      `looking for ${DBInstanceIdentifier}`,
      'it has no address',
      'look at the instance in the RDS console',
    );
  return { host: Endpoint.Address, port: Endpoint.Port };
}

export async function describeInstance(clients: DatabaseClient, identifier: string): Promise<DBInstance | undefined> {
  try {
    const answer = await clients.databases.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: identifier }));
    return answer.DBInstances?.[0];
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/**
 * Waits until the instance is available. Rejects with an OperationError if it failed, was deleted, or takes too long.
 */
export function untilAvailable(
  clients: DatabaseClient,
  identifier: string,
  doing: string,
  { pollMs, readyMs }: InstanceWaits,
): Promise<DBInstance> {
  const todo = `look at the events of ${identifier} in the RDS console, then: ${greenlight('resume')}`;
  let seen = false;
  return calling(doing, () =>
    until({ doing, deadlineMs: readyMs, pollMs, todo }, async () => {
      const instance = await describeInstance(clients, identifier);
      if (instance === undefined && seen) throw new OperationError(doing, `${identifier} was deleted meanwhile`, todo);
      const status = instance?.DBInstanceStatus ?? 'not known yet';
      seen ||= instance !== undefined;
      if (isBroken(status)) throw new OperationError(doing, `${identifier} is ${status}`, todo);
      return instance !== undefined && status === 'available' && instance.Endpoint?.Address !== undefined
        ? instance
        : `${identifier} is ${status}`;
    }),
  );
}

/**
 * Deletes an instance without a snapshot, and its automated backups. No-op if it does not exist or is being deleted.
 */
export function deleteInstance(
  clients: DatabaseClient,
  identifier: string,
  { pollMs, settleMs }: InstanceWaits,
): Promise<void> {
  const doing = `deleting the database ${identifier}`;
  const todo = `delete ${identifier} in the RDS console: it costs money as long as it exists`;
  // RDS refuses the deletion while the instance is being created or changed.
  const retry = (error: unknown) => /InvalidDBInstanceState/.test(codeOf(error));
  return calling(doing, async () => {
    await until({ doing, deadlineMs: settleMs, pollMs, todo, retry }, async () => {
      try {
        const how = { SkipFinalSnapshot: true, DeleteAutomatedBackups: true };
        await clients.databases.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: identifier, ...how }));
        return {};
      } catch (error) {
        if (isMissing(error)) return {};
        if (retry(error) && (await describeInstance(clients, identifier))?.DBInstanceStatus === 'deleting') return {};
        throw error;
      }
    });
  });
}
