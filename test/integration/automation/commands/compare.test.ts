import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../../../../infra/lib/paths.ts';
import type { DatabaseAccess } from '../../../../infra/platform/databases.ts';
import { grantWrites } from '../../../../infra/application/roles.ts';
import { withClient } from '../../../../automation/data/connect.ts';
import { createRig, type Rig } from '../data/rig.ts';

const schema = `
  CREATE TABLE orders (id int PRIMARY KEY, state text NOT NULL, paid numeric(12,2), at timestamptz DEFAULT '2026-01-01Z', doc bytea, tags text[]);
  INSERT INTO orders SELECT i, 'paid', i / 3.0, '2026-01-01Z', decode(md5(i::text), 'hex'), ARRAY['a', i::text] FROM generate_series(1, 1000) i;
  CREATE TABLE log (level int, line text);
  INSERT INTO log SELECT i / 2, 'x' FROM generate_series(0, 999) i;
  CREATE TABLE parts (id int, w text) PARTITION BY RANGE (id);
  CREATE TABLE p1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
  CREATE TABLE p2 PARTITION OF parts FOR VALUES FROM (100) TO (200);
  INSERT INTO parts SELECT i, 'w' FROM generate_series(1, 199) i;
  CREATE SEQUENCE tickets; SELECT setval('tickets', 41);
  CREATE FUNCTION price(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2';
  CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM orders;`;

interface Ran {
  code: number | null;
  out: string;
  err: string;
}

describe('the command compare', () => {
  let rig: Rig;
  let directory: string;
  before(async () => {
    rig = await createRig();
    directory = await mkdtemp(join(tmpdir(), 'greenlight-compare-'));
    for (const { access } of [rig.blue, rig.green])
      await withClient(access, 'admin', (client) =>
        client.query(`CREATE ROLE reader LOGIN PASSWORD 'a reader''s secret'`),
      );
  });
  after(async () => {
    await rig.dispose();
    await rm(directory, { recursive: true, force: true });
  });
  beforeEach(async () => {
    await rig.fresh(schema);
    await rig.run(rig.green, schema);
    await asAdmin(rig.green, grantWrites);
    for (const side of [rig.blue, rig.green])
      await asAdmin(side, 'GRANT CONNECT ON DATABASE app TO reader; GRANT USAGE ON SCHEMA public TO reader');
  });

  const asAdmin = (side: Rig['blue'], sql: string) =>
    withClient(side.access, 'admin', async (client) => void (await client.query(sql)));

  const run = (args: string[], env: Record<string, string> = {}): Promise<Ran> =>
    new Promise((resolve) => {
      const options = { cwd: packageRoot, env: { PATH: process.env['PATH'], HOME: directory, ...env } };
      const child = execFile(process.execPath, ['automation/cli.ts', 'compare', ...args], options, (_, out, err) =>
        resolve({ code: child.exitCode, out, err }),
      );
    });
  const dsn = ({ host, port, database, caFile, admin }: DatabaseAccess, user = admin): string =>
    `postgresql://${user.user}:${encodeURIComponent(user.password)}@${host}:${port}/${database}?sslmode=verify-full&sslrootcert=${encodeURIComponent(caFile)}`;
  const compared = (...args: string[]) => run([dsn(rig.blue.access), dsn(rig.green.access), ...args]);
  const secretsOf = () => [rig.blue, rig.green].map(({ access }) => access.admin.password);
  const withoutSecrets = ({ out, err }: Ran) => {
    for (const secret of secretsOf())
      for (const form of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])
        expect(out + err).not.to.include(form);
  };

  it('says what is equal, with exit code 0', async () => {
    for (const side of [rig.blue, rig.green])
      await asAdmin(side, `SELECT lo_from_bytea(4711, 'text'), lo_create(4712)`);
    const ran = await compared('--jobs', '3');
    expect(ran.err).to.equal('');
    expect(ran.code, ran.out).to.equal(0);
    expect(ran.out).to.match(
      /\nequal\ncompared: 2,200 rows of 4 tables, 2 large objects, 1 sequence, \d+ catalog objects/,
    );
    withoutSecrets(ran);
    for (const side of [rig.blue, rig.green]) await asAdmin(side, `SELECT lo_unlink(4711), lo_unlink(4712)`);
  });

  const differences: [title: string, sql: string, shown: RegExp][] = [
    [
      'a changed row',
      `UPDATE orders SET state = 'OPEN' WHERE id = 7`,
      /public\.orders .* 1 row with different content \(id = 7\)/,
    ],
    [
      'a flipped bit',
      `UPDATE orders SET doc = set_bit(doc, 5, 1 - get_bit(doc, 5)) WHERE id = 8`,
      /public\.orders .*\(id = 8\)/,
    ],
    ['a missing row', 'DELETE FROM orders WHERE id = 9', /public\.orders +1,000 +999 +1 row only on left \(id = 9\)/],
    [
      'an extra row',
      `INSERT INTO orders VALUES (2000, 'paid')`,
      /public\.orders +1,000 +1,001 +1 row only on right \(id = 2000\)/,
    ],
    [
      'a doubled row of a table without a key',
      'INSERT INTO log SELECT * FROM log LIMIT 1',
      /public\.log +1,000 +1,001 .*no primary key names them/,
    ],
    [
      'rows in pairs, all different [N1]',
      `UPDATE log SET line = 'y'`,
      /public\.log +1,000 +1,000 +1000 rows of left and 1000 rows of right/,
    ],
    ['a row of a partition', 'DELETE FROM p2 WHERE id = 150', /public\.parts +199 +198/],
    ['an element of an array', `UPDATE orders SET tags[2] = 'z' WHERE id = 10`, /public\.orders .*\(id = 10\)/],
    ['a stale sequence', `SELECT setval('tickets', 40)`, /sequence +public\.tickets +left 41, right 40/],
    [
      'a sequence that would return its value again',
      `SELECT setval('tickets', 41, false)`,
      /sequence +public\.tickets +left 41, right 41 \(not used yet\)/,
    ],
    [
      'a changed function',
      `CREATE OR REPLACE FUNCTION price(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 3'`,
      /function +public\.price\(integer\) +differs/,
    ],
    ['a missing index', 'CREATE INDEX late ON orders (at)', /index +public\.late +only on right/],
    ['a table of one side', 'CREATE TABLE later (id int)', /public\.later +- +0 +only on right/],
    [
      'a stale materialised view',
      `INSERT INTO orders VALUES (3000, 'paid'); REFRESH MATERIALIZED VIEW totals; DELETE FROM orders WHERE id = 3000`,
      /public\.totals/,
    ],
  ];
  for (const [title, sql, shown] of differences) {
    it(`finds ${title}`, async () => {
      await rig.run(rig.green, sql);
      const { code, out } = await compared();
      expect(code, out).to.equal(1);
      expect(out)
        .to.match(shown)
        .and.to.match(/\ndifferent: /);
    });
  }

  it('finds large objects: changed, empty, missing', async () => {
    const changes = [`lo_put(4711, 0, 'T')`, 'lo_create(4712)', 'lo_unlink(4711)'];
    for (const change of changes) {
      for (const side of [rig.blue, rig.green]) await asAdmin(side, `SELECT lo_from_bytea(4711, 'text')`);
      await asAdmin(rig.green, `SELECT ${change}`);
      const { code, out } = await compared();
      expect(code, change).to.equal(1);
      expect(out, change).to.match(/large objects .*oid = 471[12]/);
      for (const side of [rig.blue, rig.green])
        await asAdmin(side, 'SELECT lo_unlink(oid) FROM pg_largeobject_metadata');
    }
  });

  it('says everything as JSON, and only what is asked for', async () => {
    await rig.run(rig.green, `DELETE FROM orders WHERE id = 9; SELECT setval('tickets', 40)`);
    const ran = await compared('--json');
    expect(ran.code).to.equal(1);
    const found = JSON.parse(ran.out) as Record<string, unknown>;
    expect(found)
      .to.include({ verdict: 'different' })
      .and.to.have.keys([
        'sides',
        'verdict',
        'versions',
        'tables',
        'sequences',
        'catalog',
        'notRead',
        'leftOut',
        'writtenTo',
      ]);
    expect(found['sequences']).to.deep.equal({
      left: 1,
      right: 1,
      different: [{ name: 'public.tickets', left: '41', right: '40' }],
    });
    withoutSecrets(ran);
    expect((await compared('--table', 'public.log', 'public.parts')).code).to.equal(0);
    expect((await compared('--schema', 'public')).code).to.equal(1);
    const none = await compared('--table', 'public.logs');
    expect(none).to.include({ code: 2, out: '' });
    expect(none.err).to.include('neither database has tables or sequences called public.logs');
  });

  it('does not know where something may not be read, and names it', async () => {
    const reader = { user: 'reader', password: `a reader's secret` };
    for (const side of [rig.blue, rig.green]) {
      await asAdmin(side, 'GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader');
      await asAdmin(side, 'GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO reader');
    }
    const readable = () => run([dsn(rig.blue.access), dsn(rig.green.access, reader)]);
    const whole = await readable();
    expect(whole.code, whole.out + whole.err).to.equal(0);
    await asAdmin(rig.green, 'REVOKE SELECT ON log, tickets FROM reader');
    await rig.run(rig.green, 'ALTER TABLE parts ENABLE ROW LEVEL SECURITY');
    await rig.run(rig.blue, 'ALTER TABLE parts ENABLE ROW LEVEL SECURITY');
    const ran = await readable();
    // Rights are a part of the catalog, so they differ, too.
    expect(ran.out).to.match(/\? +public\.log +not read on right: permission denied/);
    expect(ran.out).to.match(/\? +public\.tickets +not read on right: permission denied/);
    expect(ran.out).to.match(/\? +public\.parts +not read on right: query would be affected by row-level security/);
    const some = ['--table', 'public.log', 'public.orders', 'public.parts', 'public.tickets'];
    const partly = await run([dsn(rig.blue.access), dsn(rig.green.access, reader), ...some]);
    expect(partly.code, partly.out).to.equal(2);
    expect(partly.out).to.include('not known: no difference found, but 3 things could not be read');
    await rig.run(rig.green, 'DELETE FROM orders WHERE id = 9');
    expect((await run([dsn(rig.blue.access), dsn(rig.green.access, reader), ...some])).code).to.equal(1);
  });

  it('fails with exit code 2, the cause, and never a password', async () => {
    const { blue, green } = rig;
    const wrong = { user: 'admin', password: 'another secret' };
    const good = dsn(blue.access);
    const failing: [title: string, args: string[], shown: string][] = [
      ['no second database', [good], 'missing required argument'],
      ['an unknown option', [good, good, '--speed'], 'unknown option'],
      ['a wrong password', [good, dsn(green.access, wrong)], 'password authentication failed'],
      ['no server', [good, 'postgresql://admin:a%20secret@127.0.0.1:1/app'], 'ECONNREFUSED'],
      ['no such host', [good, 'postgresql://admin:a%20secret@nowhere.invalid/app'], 'nowhere.invalid'],
      ['no such database', [good, dsn({ ...green.access, database: 'none' })], 'database "none" does not exist'],
      ['another scheme', [good, 'mysql://admin:another-secret@h/app'], 'reading a connection string'],
      ['no scheme', [good, 'admin:another-secret@h/app'], 'reading a connection string'],
      [
        'a password that is not encoded',
        [good, 'postgres://admin:12/another-secret@h/app'],
        'reading a connection string',
      ],
      ['a parameter without a name', [good, 'host=h password=x another-secret'], 'reading a connection string'],
      [
        'an untrusted certificate',
        [good, `${dsn(green.access).split('?')[0] ?? ''}?sslmode=verify-full&sslrootcert=system`],
        'certificate',
      ],
      ['no number', [good, good, '--jobs', 'many'], '--jobs is no number'],
    ];
    for (const [title, args, shown] of failing) {
      const ran = await run(args);
      expect(ran.code, `${title}: ${ran.err}`).to.equal(2);
      expect(ran.err, title)
        .to.include(shown)
        .and.not.to.match(/another.secret|a%20secret|a secret|at .*\.ts:/);
      withoutSecrets(ran);
    }
  });

  it('asks for channel binding where the connection string does', async () => {
    const bound = (access: DatabaseAccess) => `${dsn(access)}&channel_binding=require`;
    const ran = await run([bound(rig.blue.access), bound(rig.green.access), '--table', 'public.log']);
    expect(ran.code, ran.err).to.equal(0);
  });

  it('sends no password to a server that does not offer the channel binding that is asked for', async () => {
    let got = '';
    // AuthenticationCleartextPassword.
    const server = createServer((socket) =>
      socket.on('data', (data) => {
        got += data.toString('latin1');
        socket.write(Buffer.from([82, 0, 0, 0, 8, 0, 0, 0, 3]));
      }),
    );
    const port = await new Promise<number>((resolve) =>
      server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)),
    );
    const other = `postgresql://u:asecret@127.0.0.1:${port}/d?sslmode=disable`;
    const ran = await run([dsn(rig.blue.access), `${other}&channel_binding=require`]);
    server.close();
    expect(ran.code).to.equal(2);
    expect(ran.err).to.include('channel binding is required, and the server does not offer it');
    expect(got).to.include('user').and.not.to.include('asecret');
  });

  it('ends with what the server said where its sessions are ended', async () => {
    await withClient(rig.green.access, 'owner', async (locking) => {
      await locking.query('BEGIN; LOCK TABLE log');
      const running = compared('--table', 'public.log');
      const waiting = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'greenlight' AND wait_event_type = 'Lock'`;
      await withClient(rig.green.access, 'admin', async (client) => {
        while ((await client.query(waiting)).rowCount === 0) continue;
      });
      const ran = await running;
      expect(ran).to.include({ code: 2, out: '' });
      expect(ran.err)
        .to.include('comparing two databases')
        .and.to.include('terminating connection due to administrator command')
        .and.not.to.match(/defect|at .*\.ts:/);
    });
  });

  it('takes what the connection string leaves out from where psql does', async () => {
    const { host, port, database, caFile, admin } = rig.blue.access;
    const pair = `host=${host} port=${port} dbname=${database} user=${admin.user}`;
    const tls = { PGSSLMODE: 'verify-full', PGSSLROOTCERT: caFile };
    const none = await run([pair, pair], tls);
    expect(none.code).to.equal(2);
    expect(none.err, none.err).to.include('PGPASSWORD');
    expect((await run([pair, pair], { ...tls, PGPASSWORD: admin.password })).code).to.equal(0);
    const passfile = join(directory, 'passwords');
    const escaped = admin.password.replaceAll(/[\\:]/g, '\\$&');
    await writeFile(passfile, `# passwords\nother:*:*:*:no\n${host}:${port}:*:${admin.user}:${escaped}\n`, {
      mode: 0o600,
    });
    expect((await run([pair, pair], { ...tls, PGPASSFILE: passfile })).code).to.equal(0);
    const services = join(directory, 'services');
    await writeFile(
      services,
      `[other]\nhost=nowhere\n[blue]\nhost=${host}\nport=${port}\nuser=${admin.user}\ndbname=${database}\n[last]\nport=1\n`,
    );
    const env = { ...tls, PGPASSWORD: admin.password, PGSERVICEFILE: services };
    expect((await run(['service=blue', `postgresql:///?service=blue`], env)).code).to.equal(0);
    expect((await run(['service=green', pair], env)).err).to.include('the service "green" is in no service file');
  });

  it('compares one moment of each side while one is written to, and changes nothing', async () => {
    let ended = false;
    const writing = withClient(rig.blue.access, 'owner', async (client) => {
      while (!ended) await client.query(`CREATE TEMP TABLE IF NOT EXISTS t (id int); INSERT INTO t VALUES (1)`);
    });
    const { code, out } = await compared();
    ended = true;
    await writing;
    expect(code, out).to.equal(0);
    expect(out).to.include('written to meanwhile: left; the rows are those of one moment on each side');
  });
});
