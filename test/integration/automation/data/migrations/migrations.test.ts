import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { pendingMigrations, runMigrations } from '../../../../../automation/data/migrations/migrations.ts';
import type { Phase } from '../../../../../automation/data/migrations/phases.ts';
import { countRelations } from '../../../../../automation/data/catalog.ts';
import { withClient } from '../../../../../automation/data/connect.ts';
import { copySchema } from '../../../../../automation/data/copying/schema.ts';
import { OperationError } from '../../../../../infra/lib/errors.ts';
import { close, connect, createRig, value, type Rig } from '../rig.ts';

describe('migrations', () => {
  let rig: Rig;
  let directory: string;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'greenlight-migrations-'));
    await rig.fresh('SELECT 1');
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const file = (name: string, sql: string) => writeFile(join(directory, name), sql);
  const set = (phase: Phase, contract: string[] = [], incompatible: string[] = []) => ({
    access: rig.blue.access,
    directory,
    phase,
    incompatible,
    contract,
  });
  const failure = async (work: Promise<unknown>): Promise<OperationError> => {
    const error = await work.then(
      () => undefined,
      (e: unknown) => e,
    );
    expect(error).to.be.instanceOf(OperationError);
    return error as OperationError;
  };

  const record = async (checksum: string) => {
    const admin = await connect(rig.blue.access, 'admin');
    await admin.query('UPDATE greenlight.migrations SET checksum = $1', [checksum]).finally(() => close(admin));
  };

  it('runs each file once, in order, by phase, as the owner; the record goes with the schema', async () => {
    await file(
      '002_fill.sql',
      `INSERT INTO a VALUES (1, 'semi;colon'); CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;`,
    );
    await file('001_make.sql', 'CREATE TABLE a (id int PRIMARY KEY, b text);');
    await file('003_drop.sql', 'ALTER TABLE a DROP COLUMN b;');
    const contract = ['003_drop.sql'];
    const applied = await runMigrations(set('expand', contract));
    expect(applied.map((a) => a.name)).to.deep.equal(['001_make.sql', '002_fill.sql']);
    expect(await value(rig.blue, `SELECT tableowner FROM pg_tables WHERE tablename = 'a'`)).to.equal('owner');
    expect(await runMigrations(set('expand', contract))).to.deep.equal([]);
    expect(await pendingMigrations(set('contract', contract))).to.deep.equal(contract);

    await copySchema(rig.blue.access, rig.green.access);
    expect(await pendingMigrations({ ...set('expand', contract), access: rig.green.access })).to.deep.equal([]);
    expect(await value<string>(rig.green, 'SELECT count(*) FROM a')).to.equal('0');

    await runMigrations(set('contract', contract));
    expect(
      await value<string>(rig.blue, `SELECT string_agg(phase, ',' ORDER BY name) FROM greenlight.migrations`),
    ).to.equal('expand,expand,contract');
  });

  it('rolls a failing file back, names file and line, and keeps the files before it', async () => {
    await file('1.sql', 'CREATE TABLE a (id int PRIMARY KEY);');
    await file(
      '2.sql',
      `-- two steps\nINSERT INTO a VALUES (1), (2);\n\nCREATE TABLE b (id int);\n/* and now; */\nALTER TABLE a\n  ADD CHECK (id < 2);\n`,
    );
    const error = await failure(runMigrations(set('expand')));
    expect(error.doing).to.equal('applying the migration 2.sql:6');
    expect(error.found).to.include('violated by some row');
    expect(await value(rig.blue, `SELECT to_regclass('b')`)).to.equal(null);
    expect(await value<string>(rig.blue, 'SELECT count(*) FROM a')).to.equal('0');
    expect(await pendingMigrations(set('expand'))).to.deep.equal(['2.sql']);

    await file('2.sql', 'SELECT 1;\nSELECT\n  nothing FROM a;');
    expect((await failure(runMigrations(set('expand')))).doing).to.equal('applying the migration 2.sql:3');
    await file('2.sql', 'CREATE TABLE c (id int);\nCOMMIT;');
    expect((await failure(runMigrations(set('expand')))).doing).to.equal('reading the migration 2.sql:2');
    expect(await value(rig.blue, `SELECT to_regclass('c')`)).to.equal(null);
  });

  it('finds a COMMIT behind a BEGIN ATOMIC body, and the line of a syntax error [F7]', async () => {
    const body = 'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END;';
    await file('1.sql', `${body}\nCREATE TABLE c (id int);\nCOMMIT;\nSELECT nothing;`);
    const committed = await failure(runMigrations(set('expand')));
    expect(committed.doing).to.equal('reading the migration 1.sql:3');
    expect(committed.found).to.include('each file is one transaction already');
    await file('1.sql', `CREATE TABLE c (id int);\n-- ä\nSELEKT 1;\n`);
    const refused = await failure(runMigrations(set('expand')));
    expect(refused.doing).to.equal('applying the migration 1.sql:3');
    expect(refused.found).to.include('SELEKT');
    expect(await value(rig.blue, `SELECT to_regclass('c')`)).to.equal(null);
  });

  it('names changed files that are applied already, and contract files that do not exist', async () => {
    await file('1.sql', 'SELECT 1');
    await runMigrations(set('expand'));
    await file('1.sql', 'SELECT 2');
    expect((await failure(runMigrations(set('expand')))).found).to.include('1.sql');
    expect((await failure(pendingMigrations(set('expand', ['9.sql'])))).found).to.include('9.sql');
  });

  it('runs what is incompatible between expand and contract, and names a file that is not there', async () => {
    await file('001_make.sql', 'CREATE TABLE a (id int PRIMARY KEY, b text);');
    await file('002_rename.sql', 'ALTER TABLE a RENAME b TO c;');
    await file('003_drop.sql', 'ALTER TABLE a DROP COLUMN c;');
    const later = [['003_drop.sql'], ['002_rename.sql']] as const;
    const run = async (phase: Phase) =>
      (await runMigrations(set(phase, [...later[0]], [...later[1]]))).map(({ name }) => name);
    expect(await run('expand')).to.deep.equal(['001_make.sql']);
    expect(await run('incompatible')).to.deep.equal(['002_rename.sql']);
    expect(await run('contract')).to.deep.equal(['003_drop.sql']);
    expect(await value(rig.blue, `SELECT string_agg(phase, ' ' ORDER BY name) FROM greenlight.migrations`)).to.equal(
      'expand incompatible contract',
    );
    const unknown = await failure(pendingMigrations(set('expand', [], ['9.sql'])));
    expect(unknown.found).to.equal('migrations.incompatible names files that do not exist: 9.sql');
  });

  it('is ended by its signal: the statement is cancelled, the file rolled back, those before it stay', async () => {
    await file('1.sql', 'CREATE TABLE a (id int PRIMARY KEY);');
    await file('2.sql', 'INSERT INTO a VALUES (1); SELECT pg_sleep(600);');
    const ending = new AbortController();
    let ended = false;
    const run = runMigrations({ ...set('incompatible', [], ['1.sql', '2.sql']), signal: ending.signal })
      .catch((error: unknown) => error)
      .finally(() => (ended = true));
    const asleep = `SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'greenlight-migrations' AND wait_event = 'PgSleep'`;
    while (!ended && (await value<number>(rig.blue, asleep)) === 0) await setImmediate();
    const reason = new Error('the window is over');
    ending.abort(reason);
    expect(await run).to.equal(reason);
    expect(await value(rig.blue, asleep)).to.equal(0);
    expect(await value(rig.blue, 'SELECT count(*)::int FROM a')).to.equal(0);
    expect(await pendingMigrations(set('incompatible', [], ['1.sql', '2.sql']))).to.deep.equal(['2.sql']);
    const early = runMigrations({ ...set('incompatible', [], ['1.sql', '2.sql']), signal: ending.signal });
    expect(await early.catch((error: unknown) => error)).to.equal(reason);
  });

  it('waits for a lock in a read-only window, where nobody waits behind it', async () => {
    await file('1.sql', 'CREATE TABLE a (id int PRIMARY KEY);');
    await file('2.sql', 'ALTER TABLE a ADD b int;');
    await runMigrations(set('expand', [], ['2.sql']));
    const blocker = await connect(rig.blue.access, 'admin');
    try {
      await blocker.query('BEGIN; LOCK TABLE a');
      let ended = false;
      const run = runMigrations({ ...set('incompatible', [], ['2.sql']), tries: 1 }).finally(() => (ended = true));
      run.catch(() => undefined);
      const waits = `SELECT count(*)::int FROM pg_locks WHERE NOT granted AND clock_timestamp() - waitstart > interval '1 s'`;
      while (!ended && (await value<number>(rig.blue, waits)) === 0) await setImmediate();
      await blocker.query('COMMIT');
      expect((await run).map(({ name }) => name)).to.deep.equal(['2.sql']);
    } finally {
      await close(blocker);
    }
  });

  it('retries with a short lock timeout, and succeeds once the lock is free', async () => {
    await file('1.sql', 'CREATE TABLE a (id int PRIMARY KEY);');
    await runMigrations(set('expand'));
    await file('2.sql', 'ALTER TABLE a ADD COLUMN b int;');
    const reader = await connect(rig.blue.access, 'app');
    try {
      await reader.query('BEGIN; SELECT * FROM a');
      const error = await failure(runMigrations({ ...set('expand'), lockTimeoutMs: 50, tries: 2 }));
      expect(error.found).to.include('lock timeout').and.to.include('(2 tries)');
      const later = runMigrations({ ...set('expand'), lockTimeoutMs: 50 });
      await reader.query('COMMIT');
      expect(await later).to.have.length(1);
    } finally {
      await close(reader);
    }
  });

  it('runs once when two programs migrate at once', async () => {
    await file('1.sql', 'SELECT pg_sleep(0.2); CREATE TABLE a (id int PRIMARY KEY);');
    const both = await Promise.all([runMigrations(set('expand')), runMigrations(set('expand'))]);
    expect(both.map((applied) => applied.length).sort()).to.deep.equal([0, 1]);
  });

  it('starts each file in the same session state [F1]', async () => {
    await file(
      '001_tenant.sql',
      `CREATE SCHEMA tenant; SET search_path TO tenant; CREATE TABLE mine (id int PRIMARY KEY);`,
    );
    await file('002_table.sql', 'CREATE TABLE ours (id int PRIMARY KEY);');
    await file(
      '003_more.sql',
      `SELECT set_config('search_path', 'tenant', false); SET ROLE owner; SET my.setting = 'x';
       PREPARE p AS SELECT 1; CREATE TEMP TABLE t (id int); LISTEN l; SET statement_timeout = 0;
       DECLARE c CURSOR WITH HOLD FOR SELECT 1;`,
    );
    await file(
      '004_clean.sql',
      `DO $$ BEGIN
         ASSERT current_setting('search_path') = '"$user", public', current_setting('search_path');
         ASSERT current_setting('my.setting', true) IS NULL OR current_setting('my.setting', true) = '', 'my.setting';
         ASSERT current_setting('statement_timeout') <> '0', 'statement_timeout';
         ASSERT NOT EXISTS (SELECT FROM pg_prepared_statements WHERE name = 'p'), 'prepared statement';
         ASSERT NOT EXISTS (SELECT FROM pg_cursors WHERE name = 'c'), 'cursor';
         ASSERT to_regclass('pg_temp.t') IS NULL, 'temporary table';
         ASSERT NOT EXISTS (SELECT FROM pg_listening_channels()), 'channel';
         ASSERT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted), 'lock';
       END $$`,
    );
    expect(await runMigrations(set('expand'))).to.have.length(4);
    expect(await value(rig.blue, `SELECT to_regclass('public.ours')::text`)).to.equal('ours');
    expect(await value(rig.blue, `SELECT to_regclass('tenant.mine')::text`)).to.equal('tenant.mine');
  });

  for (const [how, sql] of [
    ['SET', `SET lock_timeout = 0; ALTER TABLE a ADD COLUMN b int`],
    ['SET LOCAL', `SET LOCAL lock_timeout = '10min'; ALTER TABLE a ADD COLUMN b int`],
    ['set_config', `SELECT set_config('lock_timeout', '0', true); ALTER TABLE a ADD COLUMN b int`],
    ['RESET ALL', `RESET ALL; ALTER TABLE a ADD COLUMN b int`],
    ['ALTER ROLE', `ALTER ROLE owner SET lock_timeout = 0; SET statement_timeout = 0; ALTER TABLE a ADD COLUMN b int`],
    ['a DO block', `DO $$ BEGIN SET LOCAL lock_timeout = 0; ALTER TABLE a ADD COLUMN b int; END $$`],
    [
      'a function',
      `CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql SET lock_timeout = 0 AS
       $$ BEGIN ALTER TABLE a ADD COLUMN b int; END $$; SELECT f()`,
    ],
    ['a row', `SET lock_timeout = 0; UPDATE a SET id = 2`],
  ] as const) {
    it(`bounds the wait for a lock whatever the file sets, by ${how} [F2]`, async () => {
      await file('1.sql', 'CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1);');
      await runMigrations(set('expand'));
      await file('2.sql', `${sql};`);
      const holder = await connect(rig.blue.access, 'admin');
      try {
        await holder.query('BEGIN; UPDATE a SET id = 3');
        const error = await failure(runMigrations({ ...set('expand'), lockTimeoutMs: 50, tries: 2 }));
        expect(error.found).to.include('lock timeout').and.to.include('(2 tries)');
        const later = runMigrations({ ...set('expand'), lockTimeoutMs: 50 });
        await holder.query('COMMIT');
        expect(await later).to.have.length(1);
      } finally {
        await close(holder);
      }
    });
  }

  it('refuses what another tool would undo, and what it would skip, before anything runs [F3] [F4]', async () => {
    await file('1_a.sql', 'CREATE TABLE a (id int PRIMARY KEY);');
    await file('2_b.sql', 'CREATE TABLE b (id int PRIMARY KEY);\n-- migrate:down\nDROP TABLE a;');
    const down = await failure(runMigrations(set('expand')));
    expect(down.doing).to.equal('reading the migration 2_b.sql:2');
    expect(down.found).to.include('dbmate');
    await file('3_C.SQL', 'SELECT 1');
    const both = await failure(pendingMigrations(set('expand')));
    expect(both.found).to.include('2_b.sql:2').and.to.include('3_C.SQL');
    expect(await value(rig.blue, `SELECT to_regclass('a')`)).to.equal(null);
    await rm(directory, { recursive: true });
    await mkdir(directory);
    expect((await failure(runMigrations(set('expand')))).found).to.include('no .sql file');
  });

  it('leaves alone what was applied before it was refused [F3]', async () => {
    await file('1.sql', 'CREATE TABLE a (id int PRIMARY KEY);');
    await runMigrations(set('expand'));
    await file('1.sql', '-- +goose Up\nSELECT 1;\n-- +goose Down\nSELECT 2;');
    const sum = createHash('sha256')
      .update(await readFile(join(directory, '1.sql')))
      .digest('hex');
    await record(sum);
    await file('2.sql', 'ALTER TABLE a ADD COLUMN b int;');
    expect(await pendingMigrations(set('expand'))).to.deep.equal(['2.sql']);
  });

  it('runs files with a byte order mark, and takes another checkout for the same file [F5]', async () => {
    const text = 'CREATE TABLE a (id int PRIMARY KEY);\nSELECT 1;\n';
    await file('1.sql', `\uFEFF${text}`);
    await runMigrations(set('expand'));
    expect(await value(rig.blue, `SELECT to_regclass('a')::text`)).to.equal('a');
    for (const checkout of [text, text.replaceAll('\n', '\r\n')]) {
      await file('1.sql', checkout);
      expect(await pendingMigrations(set('expand'))).to.deep.equal([]);
      // What earlier versions recorded: the digest of the bytes.
      const sum = createHash('sha256').update(checkout).digest('hex');
      await record(sum);
      for (const other of [text, text.replaceAll('\n', '\r\n')]) {
        await file('1.sql', other);
        expect(await pendingMigrations(set('expand'))).to.deep.equal([]);
      }
    }
    await file('1.sql', `${text}-- more\n`);
    expect((await failure(pendingMigrations(set('expand')))).found).to.include('changed since: 1.sql');
  });

  it('gives the lines of a file with CRLF [F5]', async () => {
    await file('1.sql', 'SELECT 1;\r\nSELECT\r\n  nothing;\r\n');
    expect((await failure(runMigrations(set('expand')))).doing).to.equal('applying the migration 1.sql:3');
  });

  it('refuses bytes that are not UTF-8, with the line [F6]', async () => {
    await writeFile(join(directory, '1.sql'), Buffer.from(`SELECT 1;\nSELECT '\u00fc';`, 'latin1'));
    const error = await failure(runMigrations(set('expand')));
    expect(error.doing).to.equal('reading the migration 1.sql:2');
    expect(error.found).to.include('not UTF-8');
  });

  it('runs a rule of several statements and a BEGIN ATOMIC body as one each [F7]', async () => {
    await file(
      '1.sql',
      `CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int); CREATE TABLE c (id int);
       CREATE RULE r AS ON INSERT TO a DO ALSO (INSERT INTO b VALUES (new.id); INSERT INTO c VALUES (new.id));
       CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;
       INSERT INTO a VALUES (f());`,
    );
    expect(await runMigrations(set('expand'))).to.have.length(1);
    expect(await value<number>(rig.blue, 'SELECT b.id + c.id FROM b, c')).to.equal(4);
  });

  it('refuses what cannot run in a transaction before the first file runs, with what to write instead [F8]', async () => {
    await file('1.sql', 'CREATE TABLE a (id int PRIMARY KEY);');
    for (const [sql, todo] of [
      ['CREATE INDEX CONCURRENTLY i ON a (id);', 'without CONCURRENTLY'],
      ['COPY a FROM stdin;\n1\n\\.\n', 'INSERT'],
      ['\\restrict x\nSELECT 1;', 'leave it out'],
      ['ALTER TABLE a OWNER TO postgres;', 'pg_dump --no-owner'],
      ['VACUUM a;', 'leave it out'],
    ] as const) {
      await file('2.sql', sql);
      const error = await failure(runMigrations(set('expand')));
      expect(error.doing).to.equal('reading the migration 2.sql:1');
      expect(error.todo).to.include(todo);
    }
    expect(await value(rig.blue, `SELECT to_regclass('a')`)).to.equal(null);
  });

  it('says where a new value of an enum has to go [F8]', async () => {
    await file('1.sql', `CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE a (id int PRIMARY KEY, m mood);`);
    await file('2.sql', `ALTER TYPE mood ADD VALUE 'odd';\nINSERT INTO a VALUES (1, 'odd');`);
    const error = await failure(runMigrations(set('expand')));
    expect(error.doing).to.equal('applying the migration 2.sql:2');
    expect(error.todo).to.include('a file of its own');
    await file('2.sql', `ALTER TYPE mood ADD VALUE 'odd';`);
    await file('3.sql', `INSERT INTO a VALUES (1, 'odd');`);
    expect(await runMigrations(set('expand'))).to.have.length(2);
  });

  it("leaves relations that count in whatever schema, and Greenlight's own do not [G1]", async () => {
    const relations = () => withClient(rig.blue.access, 'admin', countRelations);
    await file('1.sql', 'CREATE SCHEMA shop;');
    await runMigrations(set('expand'));
    expect(await relations()).to.equal(0);
    await file('2.sql', 'CREATE TABLE shop.a (id int PRIMARY KEY); CREATE VIEW shop.v AS SELECT 1;');
    await runMigrations(set('expand'));
    expect(await relations()).to.equal(2);
    await file('3.sql', 'CREATE TABLE b (id int) PARTITION BY RANGE (id); CREATE MATERIALIZED VIEW m AS SELECT 1;');
    await runMigrations(set('expand'));
    expect(await relations()).to.equal(4);
  });
});
