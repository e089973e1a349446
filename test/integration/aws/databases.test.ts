import { expect } from 'chai';
import { readFile } from 'node:fs/promises';
import { CreateDBInstanceCommand, DescribeDBInstancesCommand } from '@aws-sdk/client-rds';
import { createAwsDatabases, type AwsDatabases } from '../../../infra/aws/runtime/databases.ts';
import { asTagList, fromTagList, temporaryTags } from '../../../infra/aws/runtime/temporary.ts';
import { cutLoose, ensureRoles } from '../../../infra/aws/runtime/roles.ts';
import { clusterAccess } from '../../../infra/local/postgres/cluster.ts';
import type { DatabaseAccess } from '../../../infra/platform.ts';
import { grantWrites } from '../../../infra/roles.ts';
import { openDatabaseEnvironment, type DatabaseEnvironment } from '../postgres/environment.ts';
import { databasesContract, query, refusal } from '../../contract/databases.ts';
import { openAccount, quick, type Account } from './setting.ts';

const options = (account: Account) => ({ ...account, waits: quick });

databasesContract('aws', async () => {
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
    (await account.clients.databases.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: identifier }))).DBInstances?.[0]; // prettier-ignore

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
    expect(await refusal(databases.of('green'))).to.match(/database of green.*recorded none.*\n.*npm run/);
  });

  it('that cannot be reached say where Greenlight has to run', async () => {
    const outputs = async () => {
      const blue = await account.outputs('blue');
      return { ...blue, database: { identifier: 'far', host: '127.0.0.1', port: 1 } };
    };
    const far = createAwsDatabases({ ...options(account), outputs });
    expect(await refusal(far.of('blue'))).to.match(/ECONNREFUSED.*\n.*run Greenlight in the VPC/);
  });

  it('that are temporary are small, private, encrypted, without backups, and say whose they are', async () => {
    const scratch = await databases.scratch('integration tests');
    try {
      const [name] = (await instances()).filter((found) => found.includes('scratch'));
      const instance = await describeOne(name ?? '');
      expect(name).to.match(/^sample-staging-scratch-[0-9a-f]{8}$/);
      expect(instance).to.include({ PubliclyAccessible: false, MultiAZ: false, StorageEncrypted: true, DeletionProtection: false, BackupRetentionPeriod: 0, DBInstanceClass: 'db.t4g.small', EngineVersion: '17.6' }); // prettier-ignore
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
          const body = Buffer.from(answer.body.toString().replaceAll(/<DBInstanceStatus>\w+</g, '<DBInstanceStatus>incompatible-network<')); // prettier-ignore
          return Promise.resolve(failing ? { ...answer, body } : undefined);
        },
      },
    ]);
    expect(await refusal(databases.scratch('broken'))).to.match(
      /making a database for broken.*is incompatible-network/,
    );
    expect(await instances()).to.deep.equal(['sample-staging-blue']);
  });

  it('that a run left are swept: expired ones, and those of a program here that is gone; nothing else', async () => {
    const marks = { environment: 'staging', application: 'sample', owner: 'learning' } as const;
    const mine = temporaryTags(marks, 'running', 60_000);
    const make = (DBInstanceIdentifier: string, tags: Record<string, string>) =>
      account.clients.databases.send(
        new CreateDBInstanceCommand({
          DBInstanceIdentifier, Engine: 'postgres', EngineVersion: '17.6', DBInstanceClass: 'db.t4g.small',
          AllocatedStorage: 20, MasterUsername: 'someone', MasterUserPassword: 'password-of-someone', Tags: asTagList(tags),
        }),
      ); // prettier-ignore
    const gone = { ...mine, 'greenlight-run': (mine['greenlight-run'] ?? '').replace(/:\d+$/, ':4194999') };
    await make('expired', { ...mine, 'greenlight-expires': new Date(Date.now() - 1000).toISOString() });
    await make('dead', gone);
    await make('elsewhere', { ...gone, 'greenlight-run': 'another-machine:4194999' });
    await make('running', mine);
    await make('production', { ...gone, environment: 'production' });
    await make('foreign', { environment: 'staging' });
    expect((await databases.sweep()).sort()).to.deep.equal(['dead', 'expired']);
    expect(await instances()).to.deep.equal(['elsewhere', 'foreign', 'production', 'running', 'sample-staging-blue']);
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
      await query(access, 'admin', "CREATE SUBSCRIPTION tie CONNECTION 'host=127.0.0.1 port=1 password=x' PUBLICATION tie WITH (connect = false, slot_name = 'tie')"); // prettier-ignore
    const copy = {
      ...access,
      owner: { user: 'owner', password: 'new one' },
      app: { user: 'app', password: 'new two' },
    };
    await cutLoose(copy);
    expect(await query(copy, 'app', 'SELECT id FROM things')).to.deep.equal([{ id: 1 }]);
    expect(await refusal(query(copy, 'app', 'INSERT INTO things VALUES (2)'))).to.match(/permission denied/);
    const ties = 'SELECT (SELECT count(*) FROM pg_publication)::int + (SELECT count(*) FROM pg_subscription)::int AS n';
    expect(await query(copy, 'owner', ties)).to.deep.equal([{ n: 0 }]);
    expect(await refusal(query(access, 'owner', 'SELECT 1'))).to.match(/password authentication failed/);
  });
});
