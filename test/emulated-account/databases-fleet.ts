import { randomBytes, randomInt } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { paginateDescribeDBParameters, RDSClient } from '@aws-sdk/client-rds';
import { DeleteSecretCommand, PutSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { stopCluster } from '../../infra/local/postgres/cluster.ts';
import { freePorts } from '../../infra/lib/free-ports.ts';
import { eachElement, instanceAnswer, snapshotAnswer, textOf } from './databases-answers.ts';
import { generatePassword } from './databases-parameters.ts';
import type { ServerSpec } from './databases-server.ts';
import type { Answer } from './hooks.ts';

export interface DatabasesOptions {
  /** For clusters and snapshots. Deleted at the end. */
  directory: string;
  /** Directory with `ca.pem`, `server.crt`, `server.key` for 127.0.0.1. */
  certificates: string;
  endpoint: string;
}

export interface Instance {
  id: string;
  region: string;
  spec: ServerSpec;
  status: string;
  resourceId: string;
  user: string;
  managed: boolean;
  secretArn: string | undefined;
  /** Work on the instance, one step after the other. */
  queue: Promise<void>;
}

export interface Snapshot {
  directory: string;
  status: string;
  user: string;
}

const credentials = { accessKeyId: 'AKIAEMULATED', secretAccessKey: 'emulated' };

/** All DB instances and snapshots, and the work on them. */
export type Fleet = ReturnType<typeof createFleet>;

export function createFleet(options: DatabasesOptions) {
  const instances = new Map<string, Instance>();
  const snapshots = new Map<string, Snapshot>();
  const working = new Set<Promise<void>>();
  const errors: unknown[] = [];
  let number = 0;
  const fresh = (kind: string, id: string): string => join(options.directory, `${kind}-${(number += 1)}-${id}`);

  /**
   * Runs `work` in the background. Until it ends the instance has the status `meanwhile`; if it fails, the status
   * `failed`.
   */
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

  /** Registers the instance of a moto answer. Its server is still to be created. */
  async function register(answer: Answer): Promise<Instance> {
    const xml = answer.body.toString();
    const id = textOf(xml, 'DBInstanceIdentifier') ?? '';
    const region = /<DBInstanceArn>arn:[\w-]+:rds:([\w-]+):/.exec(xml)?.[1] ?? '';
    const password = randomBytes(24).toString('base64url');
    const spec = {
      directory: fresh('instance', id),
      port: (await freePorts(1))[0] as number,
      name: id,
      certificates: options.certificates,
      parameters: await parametersOf(region, textOf(xml, 'DBParameterGroupName')),
      password,
    };
    const secretArn = textOf(xml, 'SecretArn');
    // moto gives all instances the same resource id.
    const resourceId = `db-${Array.from({ length: 26 }, () => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[randomInt(32)]).join('')}`;
    const user = textOf(xml, 'MasterUsername') ?? 'postgres';
    const instance = {
      id,
      region,
      spec,
      status: 'creating',
      resourceId,
      user,
      managed: false,
      secretArn,
      queue: Promise.resolve(),
    };
    instances.set(id, instance);
    return instance;
  }

  /** Generates a new password as RDS does, and stores it in the secret. */
  async function managedPassword({ region, secretArn, user }: Instance): Promise<string> {
    const password = generatePassword(randomInt);
    const SecretString = JSON.stringify({ username: user, password });
    await calling(secrets(region), (client) =>
      client.send(new PutSecretValueCommand({ SecretId: secretArn, SecretString })),
    );
    return password;
  }

  /** Deletes the secret that moto created for a restored instance; RDS would not have created one. */
  const deleteSecret = (region: string, arn: string): Promise<unknown> =>
    calling(secrets(region), (client) =>
      client.send(new DeleteSecretCommand({ SecretId: arn, ForceDeleteWithoutRecovery: true })),
    );

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

  async function close(): Promise<void> {
    await settled();
    await Promise.all([...instances.values()].map(({ spec }) => stopCluster(spec)));
    instances.clear();
    await rm(options.directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }

  return {
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
    deleteSecret,
    described,
    close,
  };
}
