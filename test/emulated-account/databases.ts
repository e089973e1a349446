import { rm } from 'node:fs/promises';
import { destroyCluster, stopCluster } from '../../infra/local/postgres/cluster.ts';
import { eachElement, instanceAnswer, textOf } from './databases-answers.ts';
import { damageFiles, type Damage } from './databases-damage.ts';
import { createFleet, type DatabasesOptions, type Instance, type Snapshot } from './databases-fleet.ts';
import { backUp, createServer, restoreServer, serverPid, setPassword, startServer } from './databases-server.ts';
import { errorAnswer } from './faults.ts';
import type { Answer, Call, Hook, Part } from './hooks.ts';

export type { DatabasesOptions } from './databases-fleet.ts';

export interface DatabasesPart extends Part {
  /** Damages the files of a snapshot. `start`: a restored server does not start. `pages`: tables cannot be read. */
  damage(snapshot: string, how: Damage): Promise<void>;
  /** Resolves when no instance or snapshot is being created or changed. */
  settled(): Promise<void>;
  /** Processes of the running servers. */
  servers(): { id: string; pid: number }[];
  /** Errors of background work. */
  errors: unknown[];
}

/** RDS for PostgreSQL: each DB instance is a PostgreSQL server. */
export function databasesPart(options: DatabasesOptions): DatabasesPart {
  const fleet = createFleet(options);
  const {
    instances,
    snapshots,
    errors,
    fresh,
    start,
    track,
    settled,
    parametersOf,
    register,
    managedPassword,
    described,
  } = fleet;

  const field = (call: Call, name: string): string => {
    const value = call.input[name];
    return typeof value === 'string' ? value : '';
  };
  /** The name in a field, which may be at the end of an ARN. */
  const named = (call: Call, name = 'DBInstanceIdentifier'): string =>
    field(call, name).split(':').at(-1)?.toLowerCase() ?? '';
  const instanceOf = (call: Call, name?: string): Instance | undefined => instances.get(named(call, name));

  async function created(call: Call, answer: Answer): Promise<Answer> {
    const instance = await register(answer);
    instance.managed = call.input['ManageMasterUserPassword'] === 'true';
    const password = instance.managed ? await managedPassword(instance) : field(call, 'MasterUserPassword');
    const database = call.input['DBName'] as string | undefined;
    start(instance, 'creating', async () => {
      await createServer(instance.spec, {
        user: instance.user,
        password,
        ...(database === undefined ? {} : { database }),
      });
      await startServer(instance.spec);
    });
    return described(answer);
  }

  /**
   * Only RDS for Oracle can manage the master user's password of a restored instance from the start, but moto creates a
   * secret anyway. The password is the one at the time of the backup.
   */
  async function restored(answer: Answer, files: () => Promise<string>, temporary = false): Promise<Answer> {
    const instance = await register(answer);
    start(
      instance,
      'creating',
      async () => {
        const backup = await files();
        await restoreServer(instance.spec, backup);
        if (temporary) await rm(backup, { recursive: true, force: true });
        await startServer(instance.spec);
      },
      'incompatible-restore',
    );
    return described(answer);
  }

  function takeSnapshot(instance: Instance, id: string): Snapshot {
    const snapshot = { directory: fresh('snapshot', id), status: 'creating', user: instance.user };
    snapshots.set(id.toLowerCase(), snapshot);
    const back = instance.status;
    start(
      instance,
      'backing-up',
      async () => {
        try {
          await backUp(instance.spec, snapshot.directory);
          snapshot.status = 'available';
        } catch (error) {
          snapshot.status = 'failed';
          throw error;
        }
        return back;
      },
      back,
    );
    return snapshot;
  }

  async function modified(call: Call, answer: Answer): Promise<Answer> {
    const instance = instanceOf(call);
    if (instance === undefined) return described(answer);
    const manage = call.input['ManageMasterUserPassword'];
    const given = call.input['MasterUserPassword'] as string | undefined;
    const rotate = call.input['RotateMasterUserPassword'] === 'true';
    if (manage === 'true') {
      const unused = instance.managed ? undefined : instance.secretArn;
      instance.managed = true;
      instance.secretArn = textOf(answer.body.toString(), 'SecretArn');
      if (unused !== undefined && unused !== instance.secretArn) await fleet.deleteSecret(instance.region, unused);
    } else if (manage === 'false') instance.managed = false;
    const password = manage === 'true' || rotate ? await managedPassword(instance) : given;
    if (password === undefined) return described(answer);
    // As in RDS: applied after the answer, whatever ApplyImmediately says.
    start(instance, 'resetting-master-credentials', () => setPassword(instance.spec, instance.user, password));
    return described(answer);
  }

  /**
   * Answers when the server is gone. The state `deleting` cannot be seen, because moto has already forgotten the
   * instance.
   */
  async function deleted(call: Call, answer: Answer): Promise<Answer> {
    const instance = instanceOf(call);
    if (instance === undefined) return answer;
    const final = call.input['FinalDBSnapshotIdentifier'];
    if (typeof final === 'string' && call.input['SkipFinalSnapshot'] !== 'true') takeSnapshot(instance, final);
    instances.delete(instance.id);
    const gone = instance.queue.then(() => destroyCluster(instance.spec));
    track(gone.catch((error: unknown) => void errors.push(error)));
    await gone;
    instance.status = 'deleting';
    return {
      ...answer,
      body: Buffer.from(
        eachElement(answer.body.toString(), 'DBInstance', (element) =>
          instanceAnswer(element, { ...instance, port: instance.spec.port, managed: instance.managed }),
        ),
      ),
    };
  }

  async function restart(instance: Instance, group: string | undefined): Promise<void> {
    await stopCluster(instance.spec);
    if (group !== undefined) instance.spec.parameters = await parametersOf(instance.region, group);
    await startServer(instance.spec);
  }

  const refusal = (call: Call, code: string, message: string) => errorAnswer(call, { status: 400, code, message });

  /** Refuses an action for which the instance must be available. */
  const ifAvailable = (call: Call): Promise<Answer | undefined> => {
    const instance = instanceOf(call);
    const message = `Instance ${instance?.id} is not in available state.`;
    const refuse = instance !== undefined && instance.status !== 'available';
    return Promise.resolve(refuse ? refusal(call, 'InvalidDBInstanceState', message) : undefined);
  };

  const ifSnapshotAvailable = (call: Call): Promise<Answer | undefined> => {
    const snapshot = snapshots.get(named(call, 'DBSnapshotIdentifier'));
    const message = `DBSnapshot must be in available state, it is ${snapshot?.status}.`;
    const refuse =
      snapshot?.status === 'creating' || (snapshot?.status === 'failed' && call.action !== 'DeleteDBSnapshot');
    return Promise.resolve(refuse ? refusal(call, 'InvalidDBSnapshotState', message) : undefined);
  };

  const passwordIsFree = (call: Call): Promise<Answer | undefined> => {
    const { MasterUserPassword: password, ManageMasterUserPassword: manage } = call.input;
    const managed = manage === 'true' || (manage === undefined && instanceOf(call)?.managed === true);
    const message = "You can't specify MasterUserPassword while the password is managed with AWS Secrets Manager.";
    const refuse = password !== undefined && managed;
    return Promise.resolve(refuse ? refusal(call, 'InvalidParameterCombination', message) : undefined);
  };

  const on = (action: string, after: Required<Hook>['after'], before?: Hook['before']): Hook => ({
    service: 'rds',
    actions: [action],
    after,
    ...(before === undefined ? {} : { before }),
  });
  const withInstance = (work: (instance: Instance, answer: Answer) => void) => (call: Call, answer: Answer) => {
    const instance = instanceOf(call);
    if (instance !== undefined) work(instance, answer);
    return Promise.resolve(described(answer));
  };

  const hooks: Hook[] = [
    {
      service: 'rds',
      actions: ['DescribeDBInstances', 'DescribeDBSnapshots'],
      after: (_, answer) => Promise.resolve(described(answer)),
    },
    on('CreateDBInstance', created),
    on('ModifyDBInstance', modified, passwordIsFree),
    on('DeleteDBInstance', deleted),
    on(
      'RebootDBInstance',
      withInstance((instance, answer) => {
        const group = textOf(answer.body.toString(), 'DBParameterGroupName');
        start(instance, 'rebooting', () => restart(instance, group));
      }),
      ifAvailable,
    ),
    on(
      'StopDBInstance',
      withInstance((instance) =>
        start(instance, 'stopping', async () => {
          await stopCluster(instance.spec);
          return 'stopped';
        }),
      ),
      ifAvailable,
    ),
    on(
      'StartDBInstance',
      withInstance((instance) => start(instance, 'starting', () => startServer(instance.spec))),
    ),
    on(
      'CreateDBSnapshot',
      (call, answer) => {
        const instance = instanceOf(call);
        if (instance !== undefined) takeSnapshot(instance, field(call, 'DBSnapshotIdentifier'));
        return Promise.resolve(described(answer));
      },
      ifAvailable,
    ),
    on(
      'DeleteDBSnapshot',
      async (call, answer) => {
        const snapshot = snapshots.get(named(call, 'DBSnapshotIdentifier'));
        snapshots.delete(named(call, 'DBSnapshotIdentifier'));
        if (snapshot !== undefined) await rm(snapshot.directory, { recursive: true, force: true });
        return answer;
      },
      ifSnapshotAvailable,
    ),
    on(
      'RestoreDBInstanceFromDBSnapshot',
      (call, answer) => {
        const directory = snapshots.get(named(call, 'DBSnapshotIdentifier'))?.directory;
        return restored(answer, () =>
          directory === undefined
            ? Promise.reject(new Error('that snapshot has no files'))
            : Promise.resolve(directory),
        );
      },
      ifSnapshotAvailable,
    ),
    // The latest restorable time is now, so a backup taken now holds the same data, or a few moments more.
    on('RestoreDBInstanceToPointInTime', (call, answer) =>
      restored(
        answer,
        async () => {
          const source = instanceOf(call, 'SourceDBInstanceIdentifier');
          if (source === undefined) throw new Error('the source has no server');
          const directory = fresh('moment', source.id);
          await backUp(source.spec, directory);
          return directory;
        },
        true,
      ),
    ),
  ];

  return {
    hooks,
    errors,
    settled,
    servers: () =>
      [...instances.values()].flatMap(({ id, spec }) => {
        const pid = serverPid(spec);
        return pid === undefined ? [] : [{ id, pid }];
      }),
    damage: async (id, how) => {
      const snapshot = snapshots.get(id.toLowerCase());
      if (snapshot === undefined) throw new Error(`there is no snapshot ${id}`);
      await damageFiles(snapshot.directory, how);
    },
    close: fleet.close,
  };
}
