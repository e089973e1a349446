import { expect } from 'chai';
import { readFile } from 'node:fs/promises';
import {
  CreateDBInstanceCommand,
  DescribeDBInstancesCommand,
  ModifyDBInstanceCommand,
  ModifyDBParameterGroupCommand,
} from '@aws-sdk/client-rds';
import { copySchema } from '../../../../../../automation/data/copying/schema.ts';
import { resetDatabase } from '../../../../../../automation/data/schema.ts';
import { startSync, stopSync, waitForSync } from '../../../../../../automation/data/replication/sync.ts';
import { secrets } from '../../../../../../infra/lib/redact.ts';
import { withSecretsMasked } from '../../../../../../automation/release/context/secrets.ts';
import { createAwsDatabases, type AwsDatabases } from '../../../../../../infra/aws/runtime/databases/databases.ts';
import { findAwsEnvironment } from '../../../../../../infra/aws/runtime/databases/found.ts';
import { asTagList, fromTagList, temporaryTags } from '../../../../../../infra/aws/runtime/client/temporary.ts';
import { detachCopy, ensureRoles } from '../../../../../../infra/aws/runtime/databases/roles.ts';
import { clusterAccess } from '../../../../../../infra/local/postgres/cluster.ts';
import type { DatabaseAccess } from '../../../../../../infra/platform/databases.ts';
import type { Environment } from '../../../../../../infra/platform/environment.ts';
import { grantWrites, revokeWrites } from '../../../../../../infra/application/roles.ts';
import { openDatabaseEnvironment, type DatabaseEnvironment } from '../../../local/postgres/environment.ts';
import { databasesContract, query, refusal } from '../../../../../contract/databases.ts';
import { openAccount, quick, type Account } from '../../setting.ts';

const options = (account: Account) => ({ ...account, waits: quick });

databasesContract('aws', 'logical', async () => {
  const account = await openAccount();
  await Promise.all([account.addColour('blue'), account.addColour('green')]);
  await account.databasesPart.settled();
  return { databases: createAwsDatabases(options(account)), close: () => account.close() };
});

describe('databases of RDS', () => {
  let account: Account;
  let databases: AwsDatabases;
  before(async () => {
    account = await openAccount();
    await account.addColour('blue');
    await account.databasesPart.settled();
    databases = createAwsDatabases(options(account));
  });
  after(() => account.close());
  afterEach(() => account.gateway.faults.clear());

  const instances = async (): Promise<string[]> => {
    const { DBInstances } = await account.clients.databases.send(new DescribeDBInstancesCommand({}));
    return (DBInstances ?? []).map(({ DBInstanceIdentifier }) => DBInstanceIdentifier ?? '').sort();
  };
  const describeOne = async (identifier: string) =>
    (await account.clients.databases.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: identifier })))
      .DBInstances?.[0];

  it('are administered by greenlight_admin, and know the authority here and on their own hosts', async () => {
    const access = await databases.of('blue');
    expect(access.admin.user).to.equal('greenlight_admin');
    expect(access.peerCaFile).to.equal(account.settings.authorities.databasePeers);
    expect(await readFile(access.caFile, 'utf8')).to.contain('BEGIN CERTIFICATE');
    expect(await query(access, 'admin', 'SELECT current_user AS me')).to.deep.equal([{ me: 'greenlight_admin' }]);
  });

  it('keep roles and passwords as they are, asked once more or by another machine', async () => {
    const other = createAwsDatabases(options(account));
    const [one, two] = await Promise.all([databases.of('blue'), other.of('blue')]);
    expect(one).to.deep.equal(two);
    expect(await query(one, 'app', 'SELECT 1 AS one')).to.deep.equal([{ one: 1 }]);
  });

  it('give a role the password of its secret where another was set', async () => {
    const access = await databases.of('blue');
    await query(access, 'admin', "ALTER ROLE app PASSWORD 'another'");
    const again = await createAwsDatabases(options(account)).of('blue');
    expect(await query(again, 'app', 'SELECT 1 AS one')).to.deep.equal([{ one: 1 }]);
  });

  it('of a colour that was never up are an error that says so', async () => {
    expect(await refusal(databases.of('green'))).to.match(
      /database of green.*has no database among its outputs.*\n.*npm run/,
    );
  });

  it('that cannot be reached say where Greenlight has to run', async () => {
    const outputs = async () => {
      const blue = await account.outputs('blue');
      return { ...blue, database: { identifier: 'far', host: '127.0.0.1', port: 1 } };
    };
    const far = createAwsDatabases({ ...options(account), outputs });
    expect(await refusal(far.of('blue'))).to.match(/ECONNREFUSED.*\n.*run Greenlight in the VPC/);
  });

  it('are found by their names without the engine’s record', async () => {
    const find = (environment: 'staging' | 'production', application = 'sample') =>
      findAwsEnvironment(account.clients, account.settings, environment, { application });
    const found = await find('staging');
    expect(found).to.deep.include({ live: undefined, databases: ['blue'], versions: {} });
    expect(found.facts).to.deep.equal(['the database instance sample-staging-blue is available']);
    expect(found.where).to.include(account.settings.accountId);
    expect(await find('production')).to.deep.include({ databases: [], facts: [] });
    expect(await find('staging', 'another')).to.deep.include({ databases: [], facts: [] });
  });

  it('are emptied where the application may not write, and say then whose they are', async () => {
    const access = await databases.of('blue');
    await query(access, 'admin', grantWrites);
    expect(await refusal(resetDatabase(access, 'staging-blue'))).to.include('the application may write to it');
    await query(access, 'admin', revokeWrites);
    await resetDatabase(access, 'staging-blue');
    expect(await refusal(resetDatabase(access, 'production-blue'))).to.include('it says that it is staging-blue');
    await resetDatabase(access, 'staging-blue');
  });

  it('that are temporary are small, private, encrypted, without backups, and say whose they are', async () => {
    const scratch = await databases.scratch('integration tests');
    try {
      const [name] = (await instances()).filter((found) => found.includes('scratch'));
      const instance = await describeOne(name ?? '');
      expect(name).to.match(/^sample-staging-scratch-[0-9a-f]{8}$/);
      expect(instance).to.include({
        PubliclyAccessible: false,
        MultiAZ: false,
        StorageEncrypted: true,
        DeletionProtection: false,
        BackupRetentionPeriod: 0,
        DBInstanceClass: 'db.t4g.small',
        EngineVersion: '17.6',
      });
      expect(instance?.DBSubnetGroup?.DBSubnetGroupName).to.equal('scratch');
      expect(instance?.DBParameterGroups?.[0]?.DBParameterGroupName).to.equal('scratch');
      expect(instance?.VpcSecurityGroups?.[0]?.VpcSecurityGroupId).to.equal(
        account.foundation.securityGroups.databases,
      );
      const tags = fromTagList(instance?.TagList);
      expect(tags).to.include({
        environment: 'staging',
        'greenlight-temporary': 'integration tests',
        owner: 'learning',
      });
      expect(Date.parse(tags['greenlight-expires'] ?? '')).to.be.greaterThan(Date.now());
      expect(await databases.sweep()).to.deep.equal([]);
    } finally {
      await scratch.dispose();
    }
    expect(await instances()).to.deep.equal(['sample-staging-blue']);
  });

  it('survive throttling, and answers that are lost', async () => {
    account.gateway.faults.add({ kind: 'throttling', service: 'rds', times: 3 });
    account.gateway.faults.add({ kind: 'answer-lost', service: 'rds', action: 'CreateDBInstance', times: 1 });
    const scratch = await databases.scratch('throttled');
    account.gateway.faults.add({ kind: 'answer-lost', service: 'rds', action: 'DeleteDBInstance', times: 1 });
    await scratch.dispose();
    expect(await instances()).to.deep.equal(['sample-staging-blue']);
  });

  it('that do not come up are deleted, and the error says what RDS said', async () => {
    account.gateway.use([
      {
        service: 'rds',
        actions: ['DescribeDBInstances'],
        after: (call, answer) => {
          const failing = String(call.input['DBInstanceIdentifier']).includes('scratch');
          const body = Buffer.from(
            answer.body.toString().replaceAll(/<DBInstanceStatus>\w+</g, '<DBInstanceStatus>incompatible-network<'),
          );
          return Promise.resolve(failing ? { ...answer, body } : undefined);
        },
      },
    ]);
    expect(await refusal(databases.scratch('broken'))).to.match(
      /creating a database for broken.*is incompatible-network/,
    );
    expect(await instances()).to.deep.equal(['sample-staging-blue']);
  });

  it('that a run left are swept, on whatever machine it was; nothing else', async () => {
    const marks = { environment: 'staging', application: 'sample', owner: 'learning' } as const;
    const mine = temporaryTags(marks, 'running', 60_000);
    const make = (DBInstanceIdentifier: string, tags: Record<string, string>) =>
      account.clients.databases.send(
        new CreateDBInstanceCommand({
          DBInstanceIdentifier,
          Engine: 'postgres',
          EngineVersion: '17.6',
          DBInstanceClass: 'db.t4g.small',
          AllocatedStorage: 20,
          MasterUsername: 'someone',
          MasterUserPassword: 'password-of-someone',
          Tags: asTagList(tags),
        }),
      );
    const gone = { ...mine, 'greenlight-run': (mine['greenlight-run'] ?? '').replace(/:\d+$/, ':4194999') };
    await make('dead', gone);
    await make('elsewhere', { ...gone, 'greenlight-run': 'another-machine:4194999' });
    await make('running', mine);
    await make('production', { ...gone, environment: 'production' });
    await make('foreign', { environment: 'staging' });
    expect((await databases.sweep()).sort()).to.deep.equal(['dead', 'elsewhere']);
    expect(await instances()).to.deep.equal(['foreign', 'production', 'running', 'sample-staging-blue']);
  });
});

describe('replication between databases of RDS', () => {
  let account: Account;
  before(async () => {
    account = await openAccount();
    // The account's only group is that of scratch instances, which must not replicate.
    const workers = {
      ParameterName: 'max_logical_replication_workers',
      ParameterValue: '8',
      ApplyMethod: 'pending-reboot',
    } as const;
    const DBParameterGroupName = account.foundation.scratch.parameterGroup;
    const group = { DBParameterGroupName, Parameters: [workers] };
    await account.clients.databases.send(new ModifyDBParameterGroupCommand(group));
    await Promise.all([account.addColour('blue'), account.addColour('green')]);
    await account.databasesPart.settled();
  });
  after(() => account.close());

  it("logs in as a role whose password stays, and so survives the rotation of the administrator's", async () => {
    const databases = createAwsDatabases(options(account));
    const [blue, green] = await Promise.all([databases.of('blue'), databases.of('green')]);
    expect(blue.replication).to.deep.equal(blue.owner);
    await query(blue, 'owner', 'CREATE TABLE things (id int PRIMARY KEY)');
    await query(blue, 'owner', 'INSERT INTO things SELECT generate_series(1, 100)');
    await copySchema(blue, green);
    const link = await startSync({ colour: 'blue', access: blue }, { colour: 'green', access: green });
    await waitForSync(link, { timeoutMs: 30_000 });
    expect(await query(green, 'app', 'SELECT count(*)::int AS n FROM things')).to.deep.equal([{ n: 100 }]);
    const senders = 'SELECT pid, usename FROM pg_stat_replication';
    const [sender] = await query(blue, 'admin', senders);
    expect(sender?.['usename']).to.equal('owner');

    const rotation = { DBInstanceIdentifier: 'sample-staging-blue', RotateMasterUserPassword: true };
    await account.clients.databases.send(new ModifyDBInstanceCommand({ ...rotation, ApplyImmediately: true }));
    await account.databasesPart.settled();
    expect(await refusal(query(blue, 'admin', 'SELECT 1'))).to.match(/password authentication failed/);
    const rotated = await databases.of('blue');
    // The worker's end, not the sender's: a connection that breaks under the worker disables the subscription (disable_on_error).
    await query(
      green,
      'admin',
      'SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_subscription WHERE pid IS NOT NULL',
    );
    await query(rotated, 'owner', 'INSERT INTO things VALUES (101)');

    const now = { ...link, from: { ...link.from, access: rotated } };
    await waitForSync(now, { timeoutMs: 30_000 });
    expect(await query(green, 'app', 'SELECT count(*)::int AS n FROM things')).to.deep.equal([{ n: 101 }]);
    expect((await query(rotated, 'admin', senders))[0]?.['pid']).not.to.equal(sender?.['pid']);
    expect(await stopSync(now)).to.deep.equal({ unreachable: [] });
  });

  it('is given back to the owner of a database that was made before', async () => {
    const before = await createAwsDatabases(options(account)).of('green');
    await query(before, 'admin', 'REVOKE rds_replication FROM owner; ALTER ROLE owner NOREPLICATION');
    await createAwsDatabases(options(account)).of('green');
    const rights = `SELECT rolreplication, pg_has_role('owner', 'rds_replication', 'MEMBER') AS member FROM pg_roles WHERE rolname = 'owner'`;
    expect(await query(before, 'admin', rights)).to.deep.equal([{ rolreplication: true, member: true }]);
  });

  it('has a password that the redactor knows', async () => {
    const databases = createAwsDatabases(options(account));
    const replication = { user: 'another', password: 'only-for-replication-0123' };
    const environment = {
      databases: { ...databases, of: async () => ({ ...(await databases.of('blue')), replication }) },
      router: { entry: { routeHeaders: () => ({}) } },
    } as unknown as Environment;
    await withSecretsMasked(environment).databases.of('blue');
    expect(secrets.redact(`password=${replication.password}`)).not.to.include(replication.password);
  });
});

describe('roles on a server whose administrator is no superuser, as on RDS', () => {
  let environment: DatabaseEnvironment;
  let access: DatabaseAccess;
  let subscribes = false;
  before(async () => {
    environment = await openDatabaseEnvironment('blue');
    const superuser = { ...clusterAccess(environment.cluster.blue), database: 'postgres' };
    const admin = { user: 'greenlight_admin', password: 'of-the-administrator' };
    for (const statement of [
      'DROP DATABASE app',
      'DROP ROLE app, owner, app_reader, app_writer',
      `CREATE ROLE greenlight_admin LOGIN NOSUPERUSER CREATEROLE CREATEDB REPLICATION PASSWORD '${admin.password}'`,
      // Of rds_superuser, as far as PostgreSQL has names for it.
      'GRANT pg_monitor, pg_signal_backend TO greenlight_admin',
      'CREATE DATABASE app OWNER greenlight_admin',
    ])
      await query(superuser, 'admin', statement);
    const [server] = await query(superuser, 'admin', "SELECT current_setting('server_version_num')::int AS version");
    // Until version 16 only a superuser may subscribe; RDS lets its administrator do so in all versions.
    subscribes = Number(server?.['version']) >= 160_000;
    if (subscribes) await query(superuser, 'admin', 'GRANT pg_create_subscription TO greenlight_admin');
    const logins = { admin, owner: { user: 'owner', password: 'one' }, app: { user: 'app', password: 'two' } };
    access = { ...superuser, database: 'app', ...logins };
  });
  after(() => environment.close());

  it('are made, may be made again, and do what they do elsewhere', async () => {
    await ensureRoles(access);
    await ensureRoles(access);
    await query(access, 'owner', 'CREATE TABLE things (id int PRIMARY KEY)');
    expect(await refusal(query(access, 'app', 'INSERT INTO things VALUES (1)'))).to.match(/permission denied/);
    await query(access, 'admin', grantWrites);
    await query(access, 'app', 'INSERT INTO things VALUES (1)');
  });

  it('get the passwords of a restored copy, which is cut loose from all others', async () => {
    await query(access, 'admin', 'CREATE PUBLICATION tie FOR TABLE things');
    if (subscribes)
      await query(
        access,
        'admin',
        "CREATE SUBSCRIPTION tie CONNECTION 'host=127.0.0.1 port=1 password=x' PUBLICATION tie WITH (connect = false, slot_name = 'tie')",
      );
    const copy = {
      ...access,
      owner: { user: 'owner', password: 'new one' },
      app: { user: 'app', password: 'new two' },
    };
    await detachCopy(copy);
    expect(await query(copy, 'app', 'SELECT id FROM things')).to.deep.equal([{ id: 1 }]);
    expect(await refusal(query(copy, 'app', 'INSERT INTO things VALUES (2)'))).to.match(/permission denied/);
    const ties = 'SELECT (SELECT count(*) FROM pg_publication)::int + (SELECT count(*) FROM pg_subscription)::int AS n';
    expect(await query(copy, 'owner', ties)).to.deep.equal([{ n: 0 }]);
    expect(await refusal(query(access, 'owner', 'SELECT 1'))).to.match(/password authentication failed/);
  });
});
