import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateDBInstanceCommand,
  CreateDBParameterGroupCommand,
  CreateDBSnapshotCommand,
  DeleteDBInstanceCommand,
  DeleteDBSnapshotCommand,
  DescribeDBInstancesCommand,
  DescribeDBSnapshotsCommand,
  ModifyDBInstanceCommand,
  ModifyDBParameterGroupCommand,
  RebootDBInstanceCommand,
  RestoreDBInstanceFromDBSnapshotCommand,
  RestoreDBInstanceToPointInTimeCommand,
  StartDBInstanceCommand,
  StopDBInstanceCommand,
  waitUntilDBInstanceAvailable,
  waitUntilDBSnapshotAvailable,
  type CreateDBInstanceCommandInput,
  type DBInstance,
} from '@aws-sdk/client-rds';
import { GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { expect } from 'chai';
import pg from 'pg';
import { createClients, type Clients } from '../../../infra/aws/runtime/client/clients.ts';
import { codeOf } from '../../../infra/aws/runtime/client/errors.ts';
import { createCertificates } from '../../../infra/local/lib/certificates.ts';
import { databasesPart, type DatabasesPart } from '../../emulated-account/databases.ts';
import { startGateway, type Gateway } from '../../emulated-account/gateway.ts';
import { startMoto, type Moto } from '../../emulated-account/moto.ts';

const region = 'eu-central-1';
const credentials = { accessKeyId: 'AKIAEMULATED', secretAccessKey: 'emulated' };
const password = 'first!word%1';

describe('RDS of the emulated account', function () {
  this.timeout(180_000);
  let home: string;
  let moto: Moto;
  let gateway: Gateway;
  let part: DatabasesPart;
  let clients: Clients;

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'greenlight-rds-'));
    await createCertificates(join(home, 'certificates'));
    moto = await startMoto();
    gateway = await startGateway({ moto: moto.endpoint });
    part = databasesPart({
      directory: join(home, 'rds'),
      certificates: join(home, 'certificates'),
      endpoint: gateway.endpoint,
    });
    gateway.use(part.hooks);
    clients = createClients({ region, endpoint: gateway.endpoint, credentials });
    await clients.databases.send(
      new CreateDBParameterGroupCommand({
        DBParameterGroupName: 'group',
        DBParameterGroupFamily: 'postgres17',
        Description: 'test',
      }),
    );
    await parameters({ 'rds.logical_replication': '1', 'rds.force_ssl': '1', max_connections: '37' });
  });
  after(async () => {
    for (const client of Object.values(clients) as { destroy(): void }[]) client.destroy();
    await part.close();
    expect(existsSync(join(home, 'rds'))).to.equal(false);
    expect(await serversIn(home)).to.deep.equal([]);
    await gateway.close();
    await moto.close();
    await rm(home, { recursive: true });
    expect(gateway.hookErrors).to.deep.equal([]);
  });

  const parameters = (values: Record<string, string>) =>
    clients.databases.send(
      new ModifyDBParameterGroupCommand({
        DBParameterGroupName: 'group',
        Parameters: Object.entries(values).map(([ParameterName, ParameterValue]) => ({
          ParameterName,
          ParameterValue,
          ApplyMethod: 'pending-reboot' as const,
        })),
      }),
    );

  const create = async (id: string, more: Partial<CreateDBInstanceCommandInput>): Promise<DBInstance> => {
    const { DBInstance: instance = {} } = await clients.databases.send(
      new CreateDBInstanceCommand({
        DBInstanceIdentifier: id,
        Engine: 'postgres',
        EngineVersion: '17.4',
        DBInstanceClass: 'db.t4g.micro',
        AllocatedStorage: 20,
        MasterUsername: 'greenlight_admin',
        DBParameterGroupName: 'group',
        DBName: 'app',
        ...more,
      }),
    );
    return instance;
  };

  const describeOne = async (id: string): Promise<DBInstance> => {
    const found = await clients.databases.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: id }));
    return found.DBInstances?.[0] ?? {};
  };

  const available = async (id: string): Promise<DBInstance> => {
    const waiter = { client: clients.databases, maxWaitTime: 60, minDelay: 1, maxDelay: 1 };
    await waitUntilDBInstanceAvailable(waiter, { DBInstanceIdentifier: id });
    return describeOne(id);
  };

  const snapshotOf = async (instance: string, id: string): Promise<void> => {
    await clients.databases.send(
      new CreateDBSnapshotCommand({ DBInstanceIdentifier: instance, DBSnapshotIdentifier: id }),
    );
    const waiter = { client: clients.databases, maxWaitTime: 60, minDelay: 1, maxDelay: 1 };
    await waitUntilDBSnapshotAvailable(waiter, { DBSnapshotIdentifier: id });
  };

  const remove = (id: string) =>
    clients.databases.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier: id, SkipFinalSnapshot: true }));

  const query = async (instance: DBInstance, word: string, sql: string, tls = true): Promise<unknown[]> => {
    const ca = await readFile(join(home, 'certificates', 'ca.pem'), 'utf8');
    const { Address: host, Port: port } = instance.Endpoint ?? {};
    const login = { host, port, user: 'greenlight_admin', password: word, database: 'app' };
    const client = new pg.Client({ ...login, ...(tls ? { ssl: { ca } } : {}) });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows;
    } finally {
      await client.end();
    }
  };

  const secretOf = async (instance: DBInstance): Promise<{ username: string; password: string }> => {
    const { SecretString = '' } = await clients.secrets.send(
      new GetSecretValueCommand({ SecretId: instance.MasterUserSecret?.SecretArn }),
    );
    return JSON.parse(SecretString) as { username: string; password: string };
  };

  const failure = (call: Promise<unknown>): Promise<string> =>
    call.then(
      () => expect.fail('it succeeded'),
      (error: unknown) => codeOf(error),
    );

  it('makes a server with the database, the managed password and the parameters of the group', async () => {
    const made = await create('managed', { ManageMasterUserPassword: true });
    expect(made.DBInstanceStatus).to.equal('creating');
    expect(
      await failure(
        clients.databases.send(
          new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'managed', DBSnapshotIdentifier: 'early' }),
        ),
      ),
    ).to.equal('InvalidDBInstanceState');
    const instance = await available('managed');
    expect(instance.Endpoint?.Address).to.equal('127.0.0.1');
    expect(instance.DbiResourceId).to.equal(made.DbiResourceId);
    const login = await secretOf(instance);
    expect(login.username).to.equal('greenlight_admin');
    const settings = `SELECT current_setting('wal_level') AS level, current_setting('max_connections') AS connections`;
    expect(await query(instance, login.password, settings)).to.deep.equal([{ level: 'logical', connections: '37' }]);
    expect(await failure(query(instance, login.password, 'SELECT 1', false))).to.equal('28000');

    await parameters({ max_connections: '41' });
    await clients.databases.send(new RebootDBInstanceCommand({ DBInstanceIdentifier: 'managed' }));
    await available('managed');
    expect(await query(instance, login.password, settings)).to.deep.equal([{ level: 'logical', connections: '41' }]);
    await remove('managed');
    expect(await failure(describeOne('managed'))).to.match(/DBInstanceNotFound/);
    expect(await serversIn(home)).to.deep.equal([]);
  });

  it('changes the password, stops and starts', async () => {
    await create('changed', { MasterUserPassword: password });
    let instance = await available('changed');
    expect(instance.MasterUserSecret).to.equal(undefined);
    await query(instance, password, 'CREATE TABLE kept AS SELECT 1 AS one');
    const modify = (more: object) =>
      clients.databases.send(
        new ModifyDBInstanceCommand({ DBInstanceIdentifier: 'changed', ApplyImmediately: true, ...more }),
      );
    await modify({ MasterUserPassword: 'second-word' });
    await available('changed');
    expect(await failure(query(instance, password, 'SELECT 1'))).to.equal('28P01');
    expect(await query(instance, 'second-word', 'SELECT * FROM kept')).to.deep.equal([{ one: 1 }]);

    await modify({ ManageMasterUserPassword: true });
    instance = await available('changed');
    const login = await secretOf(instance);
    expect(await query(instance, login.password, 'SELECT * FROM kept')).to.deep.equal([{ one: 1 }]);
    expect(await failure(modify({ MasterUserPassword: password }))).to.equal('InvalidParameterCombination');

    await clients.databases.send(new StopDBInstanceCommand({ DBInstanceIdentifier: 'changed' }));
    await part.settled();
    expect((await describeOne('changed')).DBInstanceStatus).to.equal('stopped');
    expect(await serversIn(home)).to.deep.equal([]);
    await clients.databases.send(new StartDBInstanceCommand({ DBInstanceIdentifier: 'changed' }));
    await available('changed');
    expect(await query(instance, login.password, 'SELECT * FROM kept')).to.deep.equal([{ one: 1 }]);
    await remove('changed');
  });

  it('takes snapshots and restores them, and to the present', async () => {
    await create('origin', { MasterUserPassword: password });
    const origin = await available('origin');
    await query(origin, password, `CREATE TABLE kept AS SELECT n, repeat('x', 100) FROM generate_series(1, 500) n`);
    await snapshotOf('origin', 'first');
    await query(origin, password, 'DELETE FROM kept WHERE n > 400');

    const restore = (target: string, snapshot: string) =>
      clients.databases.send(
        new RestoreDBInstanceFromDBSnapshotCommand({
          DBInstanceIdentifier: target,
          DBSnapshotIdentifier: snapshot,
          DBParameterGroupName: 'group',
        }),
      );
    await restore('copy', 'first');
    await clients.databases.send(
      new RestoreDBInstanceToPointInTimeCommand({
        SourceDBInstanceIdentifier: 'origin',
        TargetDBInstanceIdentifier: 'moment',
        UseLatestRestorableTime: true,
      }),
    );
    const count = 'SELECT count(*)::int FROM kept';
    expect(await query(await available('copy'), password, count)).to.deep.equal([{ count: 500 }]);
    expect(await query(await available('moment'), password, count)).to.deep.equal([{ count: 400 }]);
    expect(await query(origin, password, count)).to.deep.equal([{ count: 400 }]);

    await part.damage('first', 'pages');
    await restore('torn', 'first');
    expect(await failure(query(await available('torn'), password, 'SELECT * FROM kept'))).to.equal('XX001');
    await part.damage('first', 'start');
    await restore('broken', 'first');
    await part.settled();
    expect((await describeOne('broken')).DBInstanceStatus).to.equal('incompatible-restore');
    expect(part.errors.splice(0)).to.have.length(1);

    await clients.databases.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: 'first' }));
    expect(
      await failure(clients.databases.send(new DescribeDBSnapshotsCommand({ DBSnapshotIdentifier: 'first' }))),
    ).to.match(/DBSnapshotNotFound/);
    expect((await readdir(join(home, 'rds'))).filter((name) => /^(snapshot|moment)-/.test(name))).to.deep.equal([]);
    for (const id of ['copy', 'moment', 'torn', 'broken']) await remove(id);
    await clients.databases.send(
      new DeleteDBInstanceCommand({ DBInstanceIdentifier: 'origin', FinalDBSnapshotIdentifier: 'last' }),
    );
    expect(await serversIn(home)).to.deep.equal([]);
    await restore('again', 'last');
    expect(await query(await available('again'), password, count)).to.deep.equal([{ count: 400 }]);
    // Left running: the end of the part stops it.
  });
});

/** Processes that work in a directory. */
async function serversIn(directory: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => '');
    if (cwd.startsWith(`${directory}/`)) found.push(`${pid} ${cwd}`);
  }
  return found;
}
