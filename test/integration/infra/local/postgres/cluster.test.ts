import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { databaseEnvironment, databaseUrl } from '../../../../../infra/application/database-url.ts';
import { hasCode } from '../../../../../infra/lib/errors.ts';
import { createCertificates } from '../../../../../infra/local/lib/certificates.ts';
import {
  clusterAccess,
  createCluster,
  dataDirectory,
  destroyCluster,
  serverCommand,
  serverLog,
  serverPid,
  startCluster,
  stopCluster,
} from '../../../../../infra/local/postgres/cluster.ts';
import { toolPath } from '../../../../../infra/lib/tools.ts';
import {
  connected,
  openDatabaseEnvironment,
  query,
  rejection,
  unusedPort,
  type DatabaseEnvironment,
} from './environment.ts';

const run = promisify(execFile);

describe('a local PostgreSQL cluster', () => {
  let environment: DatabaseEnvironment;
  before(async () => {
    environment = await openDatabaseEnvironment('blue');
  });
  after(() => environment.close());
  const blue = () => environment.cluster.blue;
  const access = () => clusterAccess(blue());

  it('lets each role in with its own password, over TLS, in a folder and with secrets full of special characters', async () => {
    for (const role of ['admin', 'owner', 'app'] as const) {
      const rows = await query(
        access(),
        role,
        'SELECT current_user AS name, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
      );
      expect(rows).to.deep.equal([{ name: role, ssl: true }]);
    }
  });

  it('is understood alike by libpq, from a URL and from the environment', async () => {
    const psql = ['-XAtc', 'SELECT current_user'];
    const byUrl = await run(toolPath('psql'), [...psql, databaseUrl(access(), 'owner')]);
    const byEnvironment = await run(toolPath('psql'), psql, {
      env: { ...process.env, ...databaseEnvironment(access(), 'app') },
    });
    expect([byUrl.stdout, byEnvironment.stdout]).to.deep.equal(['owner\n', 'app\n']);
  });

  it('refuses a connection without TLS', async () => {
    const { host, port, admin } = access();
    const client = new pg.Client({ host, port, ...admin, database: 'app', ssl: false });
    expect((await rejection(client.connect())).message).to.match(/no pg_hba.conf entry.*no encryption/);
  });

  it('refuses a wrong password', async () => {
    const wrong = { ...access(), owner: { user: 'owner', password: blue().passwords.app } };
    expect((await rejection(query(wrong, 'owner', 'SELECT 1'))).message).to.match(/password authentication failed/);
  });

  it('is not believed by a client that trusts another authority', async () => {
    const other = join(environment.layout.directory, 'other-ca');
    await createCertificates(other);
    const caFile = join(other, 'ca.pem');
    expect((await rejection(query({ ...access(), caFile }, 'app', 'SELECT 1'))).message).to.match(
      /certificate|signature/,
    );
    const psql = run(toolPath('psql'), ['-c', 'SELECT 1', databaseUrl({ ...access(), caFile }, 'app')]);
    expect((await rejection(psql)).message).to.match(/certificate verify failed/);
  });

  it('refuses replication to anyone but the administrator', async () => {
    const replication = (role: 'admin' | 'owner') =>
      run(toolPath('psql'), ['-XAtc', 'IDENTIFY_SYSTEM', `${databaseUrl(access(), role)}&replication=true`]);
    expect((await replication('admin')).stdout).to.match(/^\d+\|1\|/);
    expect((await rejection(replication('owner'))).message).to.match(/no pg_hba.conf entry for replication/);
  });

  it('listens on 127.0.0.1 alone and has no socket file', async () => {
    const [row] = await query(
      access(),
      'admin',
      "SELECT current_setting('listen_addresses') AS at, current_setting('unix_socket_directories') AS dirs",
    );
    expect(row).to.deep.equal({ at: '127.0.0.1', dirs: '' });
    const reached = await new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.2', port: blue().port });
      socket.once('connect', () => resolve('connected')).once('error', () => resolve('refused'));
    });
    expect(reached).to.equal('refused');
  });

  it('is durable, has checksums, and is ready for logical replication', async () => {
    const settings = [
      'fsync',
      'full_page_writes',
      'synchronous_commit',
      'data_checksums',
      'wal_level',
      'max_replication_slots',
      'max_wal_senders',
      'max_slot_wal_keep_size',
      'max_connections',
      'server_encoding',
    ];
    const [row] = await query(
      access(),
      'admin',
      `SELECT ${settings.map((s) => `current_setting('${s}') AS ${s}`).join(', ')}`,
    );
    expect(row).to.deep.equal({
      fsync: 'on',
      full_page_writes: 'on',
      synchronous_commit: 'on',
      data_checksums: 'on',
      wal_level: 'logical',
      max_replication_slots: '20',
      max_wal_senders: '20',
      max_slot_wal_keep_size: '4GB',
      max_connections: '40',
      server_encoding: 'UTF8',
    });
  });

  it('keeps its data, its settings and its key to itself, and the password out of every file', async () => {
    for (const file of ['data', 'server.key', 'postgresql.conf']) {
      expect((await stat(join(blue().directory, file))).mode & 0o077, file).to.equal(0);
    }
    const { stdout } = await run('grep', ['-rlF', blue().passwords.owner, blue().directory]).catch(
      (e: { stdout: string }) => e,
    );
    expect(stdout).to.equal('');
  });

  it('does not log the text of a statement that fails', async () => {
    await rejection(query(access(), 'app', "SELECT 'very-personal' FROM nothing_here"));
    const log = await readFile(serverLog(blue()), 'utf8');
    expect(log)
      .to.match(/relation "nothing_here" does not exist/)
      .and.not.match(/very-personal/);
  });

  it('does not run as root', async function () {
    if (process.platform !== 'linux') this.skip();
    const status = await readFile(`/proc/${await serverPid(blue())}/status`, 'utf8');
    expect(/^Uid:\s+(\d+)/m.exec(status)?.[1]).to.not.equal('0');
    // Of root's rights it has at most those to pass through directories (bits 1 and 2).
    expect(BigInt(`0x${/^CapEff:\s+([0-9a-f]+)/m.exec(status)?.[1]}`) & ~0b110n).to.equal(0n);
  });

  it('is created only once: its data and passwords stay, its settings follow', async () => {
    await query(access(), 'owner', 'CREATE TABLE kept (id int PRIMARY KEY)');
    await createCluster({ ...blue(), maxConnections: 31, passwords: { admin: 'x', owner: 'x', app: 'x' } });
    await stopCluster(blue());
    await startCluster(blue());
    expect(await query(access(), 'owner', 'SELECT * FROM kept')).to.deep.equal([]);
    expect(await query(access(), 'app', 'SHOW max_connections')).to.deep.equal([{ max_connections: '41' }]);
    await createCluster(blue());
  });

  it('comes back by itself after its server was killed', async () => {
    await query(access(), 'owner', 'CREATE TABLE survived (id int PRIMARY KEY)');
    const pid = await serverPid(blue());
    if (pid === undefined) throw new Error('it does not run');
    process.kill(pid, 'SIGKILL');
    while ((await serverPid(blue())) !== undefined) await new Promise((resolve) => setTimeout(resolve, 10));
    // Children notice that the server is gone, and end; a new server waits for them.
    for (let attempt = 0; ; attempt++) {
      try {
        await startCluster(blue());
        break;
      } catch (error) {
        if (attempt > 50) throw error;
      }
    }
    expect(await query(access(), 'owner', 'SELECT * FROM survived')).to.deep.equal([]);
  });

  it('says why it cannot start when its port is taken', async () => {
    const spec = { ...blue(), directory: environment.layout.database('green'), name: 'staging-green' };
    await createCluster(spec, { durable: false });
    const error = await rejection(startCluster(spec));
    expect(error.message).to.match(/^starting the database staging-green: .*Address already in use/s);
    expect(hasCode(error, 'port-in-use')).to.equal(true);
    await destroyCluster(spec);
  });

  it('leaves a running server alone when it is started twice', async () => {
    const pid = await serverPid(blue());
    expect((await rejection(startCluster(blue()))).message).to.match(/already exists|Address already in use/);
    expect(await serverPid(blue())).to.equal(pid);
  });

  it('leaves nothing behind when it cannot be created', async () => {
    const parent = join(environment.layout.directory, 'unfinished');
    const spec = { ...blue(), directory: join(parent, 'green'), certificates: join(parent, 'no-such') };
    expect((await rejection(createCluster(spec, { durable: false }))).message).to.contain('no-such');
    expect(await readdir(parent)).to.deep.equal([]);
  });

  it('is there as a whole or not at all, even when its maker is killed, and what that left is removed', async () => {
    const spec = { ...blue(), directory: environment.layout.database('green'), port: await unusedPort() };
    const program = `
      import { createCluster } from ${JSON.stringify(new URL('../../../../../infra/local/postgres/cluster.ts', import.meta.url).href)};
      setTimeout(() => process.kill(process.pid, 'SIGKILL'), 250);
      await createCluster(JSON.parse(process.env.SPEC));
      process.kill(process.pid, 'SIGKILL');`;
    const env = { ...process.env, SPEC: JSON.stringify(spec) };
    await rejection(run(process.execPath, ['--input-type=module', '-e', program], { env }));
    // As slow or as fast as the machine may be: it is not there, or it is complete.
    await createCluster(spec, { durable: false });
    await startCluster(spec);
    expect(await query(clusterAccess(spec), 'app', 'SELECT 1 AS one')).to.deep.equal([{ one: 1 }]);
    await destroyCluster(spec);
    expect(await readdir(dirname(spec.directory))).to.deep.equal(['blue']);
  });

  it('deletes nothing that is not a cluster', async () => {
    const folder = join(environment.layout.directory, 'precious');
    await mkdir(folder);
    await writeFile(join(folder, 'file'), 'x');
    expect((await rejection(destroyCluster({ directory: folder }))).message).to.match(/not a Greenlight cluster/);
    expect(await readdir(folder)).to.deep.equal(['file']);
  });

  it('takes the place of nothing: data without its marker, a marker without data, other files', async () => {
    const spec = { ...blue(), directory: environment.layout.database('green'), name: 'staging-green' };
    for (const [file, found] of [
      ['data/PG_VERSION', 'has PostgreSQL data'],
      ['greenlight-cluster.json', 'PG_VERSION is missing'],
      ['notes', 'PG_VERSION is missing'],
    ] as const) {
      await mkdir(join(spec.directory, 'data'), { recursive: true });
      await writeFile(join(spec.directory, file), file.endsWith('.json') ? '{"cluster":"staging-green"}' : '15');
      const refused = await rejection(createCluster(spec, { durable: false }));
      expect(refused.message).to.include(spec.directory).and.include(found).and.include('nothing was changed');
      expect((await rejection(destroyCluster(spec))).message).to.match(/not a Greenlight cluster/);
      expect(await readFile(join(spec.directory, file), 'utf8')).to.not.equal('');
      expect(await readdir(dirname(spec.directory))).to.have.members(['blue', 'green']);
      await rm(spec.directory, { recursive: true });
    }
  });

  it('is neither taken for another one nor deleted in its place', async () => {
    const pid = await serverPid(blue());
    const settings = await readFile(join(blue().directory, 'postgresql.conf'), 'utf8');
    for (const name of ['production-blue', 'staging-green']) {
      const other = { ...blue(), name, port: 1 };
      expect((await rejection(createCluster(other))).message).to.include('contains the cluster staging-blue');
      expect((await rejection(destroyCluster(other))).message).to.include('contains the cluster staging-blue');
    }
    expect(await readFile(join(blue().directory, 'postgresql.conf'), 'utf8')).to.equal(settings);
    expect(await serverPid(blue())).to.equal(pid);
    expect(await query(access(), 'app', 'SELECT 1 AS one')).to.deep.equal([{ one: 1 }]);
  });

  it('does not take another server for its own because of an old pid file', async () => {
    const spec = { ...blue(), port: await unusedPort(), directory: environment.layout.database('green') };
    await createCluster(spec, { durable: false });
    await writeFile(join(dataDirectory(spec), 'postmaster.pid'), `${await serverPid(blue())}\n`);
    await destroyCluster(spec);
    expect(await query(access(), 'app', 'SELECT 1 AS one')).to.deep.equal([{ one: 1 }]);
  });

  it('has a command for a supervisor that names no secret', () => {
    const command = serverCommand(blue());
    const text = JSON.stringify(command);
    expect(command.argv.at(-1)).to.equal(blue().directory);
    for (const password of Object.values(blue().passwords))
      expect(text).to.not.contain(JSON.stringify(password).slice(1, -1));
  });

  it('ends the sessions that are open when it stops', async () => {
    await connected(access(), 'app', async (client) => {
      const sleeping = rejection(client.query('SELECT pg_sleep(60)'));
      await stopCluster(blue());
      expect((await sleeping).message).to.match(/terminating connection|Connection terminated/);
    });
    expect(await serverPid(blue())).to.equal(undefined);
  });
});
