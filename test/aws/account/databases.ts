import { randomBytes, randomInt } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { paginateDescribeDBParameters, RDSClient } from '@aws-sdk/client-rds';
import { DeleteSecretCommand, PutSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { destroyCluster, stopCluster } from '../../../infra/local/postgres/cluster.ts';
import { freePorts } from '../../../infra/local/ports.ts';
import { eachElement, instanceAnswer, snapshotAnswer, textOf } from './databases-answers.ts';
import { damageFiles, type Damage } from './databases-damage.ts';
import { madePassword } from './databases-parameters.ts';
import { backUp, createServer, restoreServer, setPassword, startServer, type ServerSpec } from './databases-server.ts';
import { errorAnswer } from './faults.ts';
import type { Answer, Call, Hook, Part } from './hooks.ts';

export interface DatabasesOptions {
  /** For clusters and snapshots; it is deleted in the end. */
  directory: string;
  /** Directory with `ca.pem`, `server.crt`, `server.key` for 127.0.0.1. */
  certificates: string;
  endpoint: string;
}

export interface DatabasesPart extends Part {
  /** Damages the files of a snapshot: `start`, a restored server does not start; `pages`, what was in tables cannot be read. */
  damage(snapshot: string, how: Damage): Promise<void>;
  /** Resolves when nothing is being made or changed any more. */
  settled(): Promise<void>;
  /** What went wrong in the background. */
  errors: unknown[];
}

interface Instance {
  id: string;
  region: string;
  spec: ServerSpec;
  status: string;
  resourceId: string;
  user: string;
  managed: boolean;
  secretArn: string | undefined;
  /** What is done to it, one after the other. */
  queue: Promise<void>;
}

interface Snapshot {
  directory: string;
  status: string;
  user: string;
}

const credentials = { accessKeyId: 'AKIAEMULATED', secretAccessKey: 'emulated' };

/** RDS for PostgreSQL: every DB instance is a PostgreSQL server of its own here. */
export function databasesPart(options: DatabasesOptions): DatabasesPart {
  const instances = new Map<string, Instance>();
  const snapshots = new Map<string, Snapshot>();
  const working = new Set<Promise<void>>();
  const errors: unknown[] = [];
  let number = 0;
  const fresh = (kind: string, id: string): string => join(options.directory, `${kind}-${(number += 1)}-${id}`);

  /** Does something in the background; `instance` is in `meanwhile` until then, and in `failed` where it fails. */
  function start(instance: Instance, meanwhile: string, work: () => Promise<string | void>, failed = 'failed'): void {
    instance.status = meanwhile;
    const done = instance.queue.then(work).then(
      (status) => void (instance.status = status ?? 'available'),
      (error: unknown) => {
        errors.push(error);
        instance.status = failed;
      },
    );
    instance.queue = done;
    track(done);
  }

  function track(work: Promise<void>): void {
    working.add(work);
    void work.finally(() => working.delete(work));
  }

  async function settled(): Promise<void> {
    while (working.size > 0) await Promise.all(working);
  }

  const calling = async <C extends { destroy(): void }, T>(client: C, call: (client: C) => Promise<T>): Promise<T> =>
    call(client).finally(() => client.destroy());
  const secrets = (region: string) => new SecretsManagerClient({ region, endpoint: options.endpoint, credentials });

  async function parametersOf(region: string, group: string | undefined): Promise<Record<string, string>> {
    if (group === undefined || group.startsWith('default.')) return {};
    return calling(new RDSClient({ region, endpoint: options.endpoint, credentials }), async (client) => {
      const found: Record<string, string> = {};
      for await (const page of paginateDescribeDBParameters({ client }, { DBParameterGroupName: group })) {
        for (const { ParameterName: name = '', ParameterValue: value } of page.Parameters ?? [])
          if (value !== undefined) found[name] = value;
      }
      return found;
    });
  }

  /** The instance that an answer of moto's is about, with a server that is still to be made. */
  async function register(answer: Answer): Promise<Instance> {
    const xml = answer.body.toString();
    const id = textOf(xml, 'DBInstanceIdentifier') ?? '';
    const region = /<DBInstanceArn>arn:[\w-]+:rds:([\w-]+):/.exec(xml)?.[1] ?? '';
    const password = randomBytes(24).toString('base64url');
    const spec = { directory: fresh('instance', id), port: (await freePorts(1))[0] as number, name: id,
      certificates: options.certificates, parameters: await parametersOf(region, textOf(xml, 'DBParameterGroupName')), password }; // prettier-ignore
    const secretArn = textOf(xml, 'SecretArn');
    // moto gives all instances the same one.
    const resourceId = `db-${Array.from({ length: 26 }, () => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[randomInt(32)]).join('')}`;
    const user = textOf(xml, 'MasterUsername') ?? 'postgres';
    const instance = { id, region, spec, status: 'creating', resourceId, user, managed: false, secretArn,
      queue: Promise.resolve() }; // prettier-ignore
    instances.set(id, instance);
    return instance;
  }

  /** A new password that RDS made itself, into the secret. */
  async function managedPassword({ region, secretArn, user }: Instance): Promise<string> {
    const password = madePassword(randomInt);
    const SecretString = JSON.stringify({ username: user, password });
    await calling(secrets(region), (client) =>
      client.send(new PutSecretValueCommand({ SecretId: secretArn, SecretString })),
    );
    return password;
  }

  const described = (answer: Answer): Answer => {
    const xml = eachElement(answer.body.toString(), 'DBInstance', (element) => {
      const instance = instances.get(textOf(element, 'DBInstanceIdentifier') ?? '');
      return instance === undefined
        ? element
        : instanceAnswer(element, { ...instance, port: instance.spec.port, managed: instance.managed });
    });
    const body = eachElement(xml, 'DBSnapshot', (element) => {
      const snapshot = snapshots.get(textOf(element, 'DBSnapshotIdentifier') ?? '');
      return snapshot === undefined ? element : snapshotAnswer(element, snapshot.status);
    });
    return { ...answer, body: Buffer.from(body) };
  };

  const named = (call: Call, field = 'DBInstanceIdentifier'): string =>
    String(call.input[field] ?? '').split(':').at(-1)?.toLowerCase() ?? ''; // prettier-ignore
  const instanceOf = (call: Call, field?: string): Instance | undefined => instances.get(named(call, field));

  async function created(call: Call, answer: Answer): Promise<Answer> {
    const instance = await register(answer);
    instance.managed = call.input['ManageMasterUserPassword'] === 'true';
    const password = instance.managed
      ? await managedPassword(instance)
      : String(call.input['MasterUserPassword'] ?? '');
    const database = call.input['DBName'] as string | undefined;
    start(instance, 'creating', async () => {
      await createServer(instance.spec, { user: instance.user, password, ...(database === undefined ? {} : { database }) });
      await startServer(instance.spec);
    }); // prettier-ignore
    return described(answer);
  }

  /**
   * Only RDS for Oracle can manage the master user's password of a restored instance from the start; moto makes a secret all
   * the same. The password is the one of the time of the backup.
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
      if (unused !== undefined && unused !== instance.secretArn) await deleteSecret(instance.region, unused);
    } else if (manage === 'false') instance.managed = false;
    const password = manage === 'true' || rotate ? await managedPassword(instance) : given;
    if (password === undefined) return described(answer);
    // At once, whatever ApplyImmediately says, and after the answer: RDS does the same.
    start(instance, 'resetting-master-credentials', () => setPassword(instance.spec, instance.user, password));
    return described(answer);
  }

  /** The one that moto made for a restored instance, which RDS would not have made. */
  const deleteSecret = (region: string, arn: string): Promise<unknown> =>
    calling(secrets(region), (client) =>
      client.send(new DeleteSecretCommand({ SecretId: arn, ForceDeleteWithoutRecovery: true })),
    );

  /** Answers once nothing is left: moto has forgotten the instance already, so no state `deleting` is to be seen. */
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

  /** An action that an instance has to be available for. */
  const ifAvailable = (call: Call): Promise<Answer | undefined> => {
    const instance = instanceOf(call);
    const message = `Instance ${instance?.id} is not in available state.`;
    const refuse = instance !== undefined && instance.status !== 'available';
    return Promise.resolve(refuse ? refusal(call, 'InvalidDBInstanceState', message) : undefined);
  };

  const ifSnapshotAvailable = (call: Call): Promise<Answer | undefined> => {
    const snapshot = snapshots.get(named(call, 'DBSnapshotIdentifier'));
    const message = `DBSnapshot must be in available state, it is ${snapshot?.status}.`;
    const refuse = snapshot !== undefined && snapshot.status !== 'available';
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
    { service: 'rds', actions: ['DescribeDBInstances', 'DescribeDBSnapshots'], after: (_, answer) => Promise.resolve(described(answer)) },
    on('CreateDBInstance', created),
    on('ModifyDBInstance', modified, passwordIsFree),
    on('DeleteDBInstance', deleted),
    on('RebootDBInstance', withInstance((instance, answer) => {
      const group = textOf(answer.body.toString(), 'DBParameterGroupName');
      start(instance, 'rebooting', () => restart(instance, group));
    }), ifAvailable),
    on('StopDBInstance', withInstance((instance) => start(instance, 'stopping', async () => {
      await stopCluster(instance.spec);
      return 'stopped';
    })), ifAvailable),
    on('StartDBInstance', withInstance((instance) => start(instance, 'starting', () => startServer(instance.spec)))),
    on('CreateDBSnapshot', (call, answer) => {
      const instance = instanceOf(call);
      if (instance !== undefined) takeSnapshot(instance, String(call.input['DBSnapshotIdentifier']));
      return Promise.resolve(described(answer));
    }, ifAvailable),
    on('DeleteDBSnapshot', async (call, answer) => {
      const snapshot = snapshots.get(named(call, 'DBSnapshotIdentifier'));
      snapshots.delete(named(call, 'DBSnapshotIdentifier'));
      if (snapshot !== undefined) await rm(snapshot.directory, { recursive: true, force: true });
      return answer;
    }, ifSnapshotAvailable),
    on('RestoreDBInstanceFromDBSnapshot', (call, answer) => {
      const directory = snapshots.get(named(call, 'DBSnapshotIdentifier'))?.directory;
      return restored(answer, () => directory === undefined ? Promise.reject(new Error('that snapshot has no files')) : Promise.resolve(directory));
    }, ifSnapshotAvailable),
    // The latest restorable time is now: a backup that is taken now holds the same, or a few moments more.
    on('RestoreDBInstanceToPointInTime', (call, answer) => restored(answer, async () => {
      const source = instanceOf(call, 'SourceDBInstanceIdentifier');
      if (source === undefined) throw new Error('the source has no server');
      const directory = fresh('moment', source.id);
      await backUp(source.spec, directory);
      return directory;
    }, true)),
  ]; // prettier-ignore

  return {
    hooks,
    errors,
    settled,
    damage: async (id, how) => {
      const snapshot = snapshots.get(id.toLowerCase());
      if (snapshot === undefined) throw new Error(`there is no snapshot ${id}`);
      await damageFiles(snapshot.directory, how);
    },
    close: async () => {
      await settled();
      await Promise.all([...instances.values()].map(({ spec }) => stopCluster(spec)));
      instances.clear();
      await rm(options.directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    },
  };
}
