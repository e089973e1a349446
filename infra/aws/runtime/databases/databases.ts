import { CreateDBInstanceCommand } from '@aws-sdk/client-rds';
import { GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { greenlight } from '../../../lib/command.ts';
import { OperationError } from '../../../lib/errors.ts';
import type { Colour } from '../../../model.ts';
import type { DatabaseAccess, Databases, Login } from '../../../platform/databases.ts';
import type { StackOutputs } from '../../../platform/platform.ts';
import { applicationDatabase } from '../../../application/roles.ts';
import { administrator, databasePort } from '../../lib/names.ts';
import { databaseAuthority } from './authority.ts';
import type { Clients } from '../client/clients.ts';
import { calling } from '../client/errors.ts';
import { ensureRoles } from './roles.ts';
import { instanceWaits, type InstanceWaits } from './instance.ts';
import { openScratch, sweepInstances } from './scratch.ts';
import type { Setting } from '../client/setting.ts';

export interface DatabasesOptions extends Setting {
  outputs: StackOutputs;
  waits?: Partial<InstanceWaits>;
}

/** `Databases`, and what only this platform needs. */
export interface AwsDatabases extends Databases {
  /**
   * Deletes scratch instances that ended runs left behind. Resolves to their names. Call it only while the environment
   * is locked.
   */
  sweep(): Promise<string[]>;
}

/** Outputs of a colour's stack about its database. */
export interface ColourDatabase {
  database: { identifier: string; host: string; port: number };
  adminSecretArn: string;
  ownerSecretArn: string;
  appSecretArn: string;
}

/** RDS instances: one per colour, created by the colours' stacks, and scratch instances, created by `scratch`. */
export function createAwsDatabases(options: DatabasesOptions): AwsDatabases {
  const { clients, settings, foundation } = options;
  const waits = { ...instanceWaits, ...options.waits };
  /**
   * Instances whose roles this process has ensured. Secrets may change while it runs, so they are read on each call.
   */
  const ready = new Map<string, Promise<void>>();

  const of = async (colour: Colour): Promise<DatabaseAccess> => {
    const outputs = await colourDatabase(options.outputs, colour);
    const [caFile, admin, owner, app] = await Promise.all([
      databaseAuthority(settings),
      adminLogin(clients, outputs.adminSecretArn),
      urlLogin(clients, outputs.ownerSecretArn),
      urlLogin(clients, outputs.appSecretArn),
    ]);
    const { host, port, identifier } = outputs.database;
    // RDS rotates the master user's password every seven days, and a subscription would keep the old one. So `owner`
    // replicates.
    const logins = { admin, owner, app, replication: owner };
    const { databasePeers: peerCaFile } = settings.authorities;
    const access = { host, port, database: applicationDatabase, caFile, peerCaFile, ...logins };
    const key = `${identifier} ${owner.password} ${app.password}`;
    const made = ready.get(key) ?? ensureRoles(access);
    ready.set(key, made);
    await made.catch((error: unknown) => {
      ready.delete(key);
      throw error;
    });
    return access;
  };

  const scratch = (purpose: string) =>
    openScratch(
      options,
      { kind: 'scratch', purpose, waits },
      async ({ identifier, common, adminPassword }) => {
        const command = new CreateDBInstanceCommand({
          ...common,
          DBInstanceIdentifier: identifier,
          DBName: applicationDatabase,
          Engine: 'postgres',
          EngineVersion: settings.database.version,
          DBInstanceClass: scratchClass(settings.database.instanceClass, foundation.spec.database.maxConnections),
          Port: databasePort,
          // GiB; RDS's minimum.
          AllocatedStorage: 20,
          StorageEncrypted: true,
          KmsKeyId: foundation.keyArn,
          MasterUsername: administrator,
          MasterUserPassword: adminPassword,
        });
        await clients.databases.send(command);
      },
      ensureRoles,
    );

  return { of, scratch, sweep: () => sweepInstances(options, waits) };
}

/** Rejects with an OperationError if the colour's stack is not up. */
export async function colourDatabase(outputs: StackOutputs, colour: Colour): Promise<ColourDatabase> {
  const found = await outputs(colour);
  if (isColourDatabase(found)) return found;
  throw new OperationError(
    `looking for the database of ${colour}`,
    'its stack has no database among its outputs',
    `bring the colour up: ${greenlight('release')}, or ${greenlight('resume')}`,
  );
}

const isColourDatabase = (found: object): found is ColourDatabase =>
  ['database', 'adminSecretArn', 'ownerSecretArn', 'appSecretArn'].every((key) => key in found);

/**
 * A small instance class with the same CPU architecture, for databases with little data. Its memory suffices for
 * `maxConnections` (about 10 MiB each). Burstable classes are never larger than the colours' own.
 */
export function scratchClass(instanceClass: string, maxConnections: number): string {
  const [, family = '', size = ''] = instanceClass.split('.');
  const burstable = family.startsWith('t');
  const arm = /^[a-z]+\d+g/.test(family);
  const sizes = ['micro', 'small', 'medium', 'large', 'xlarge'];
  const wanted = maxConnections <= 100 ? 'small' : maxConnections <= 300 ? 'medium' : 'large';
  const least = burstable && sizes.indexOf(size) < sizes.indexOf(wanted) ? size : wanted;
  return `db.${burstable ? family : arm ? 't4g' : 't3'}.${least}`;
}

/** RDS's secret of the master user is a JSON object. */
const adminLogin = async (clients: Clients, arn: string): Promise<Login> => {
  const { username, password } = JSON.parse(await secretText(clients, arn)) as { username: string; password: string };
  return { user: username, password };
};

const urlLogin = async (clients: Clients, arn: string): Promise<Login> => loginOf(await secretText(clients, arn));

/** User and password in a database URL. */
export function loginOf(url: string): Login {
  const { username, password } = new URL(url);
  return { user: decodeURIComponent(username), password: decodeURIComponent(password) };
}

const secretText = (clients: Clients, arn: string): Promise<string> =>
  calling(`reading the secret ${arn}`, async () => {
    const { SecretString } = await clients.secrets.send(new GetSecretValueCommand({ SecretId: arn }));
    if (SecretString === undefined) throw new Error('it holds no text');
    return SecretString;
  });
