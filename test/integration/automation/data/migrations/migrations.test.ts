import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { pendingMigrations, runMigrations } from '../../../../../automation/data/migrations/migrations.ts';
import { copySchema } from '../../../../../automation/data/schema.ts';
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
  const set = (phase: 'expand' | 'contract', contract: string[] = []) => ({
    access: rig.blue.access,
    directory,
    phase,
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
    expect((await failure(runMigrations(set('expand')))).doing).to.equal('applying the migration 2.sql:2');
    expect(await value(rig.blue, `SELECT to_regclass('c')`)).to.equal(null);
  });

  it('finds a COMMIT behind a BEGIN ATOMIC body, and the line of a syntax error', async () => {
    const body = 'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END;';
    await file('1.sql', `${body}\nCREATE TABLE c (id int);\nCOMMIT;\nSELECT nothing;`);
    const committed = await failure(runMigrations(set('expand')));
    expect(committed.doing).to.equal('applying the migration 1.sql:3');
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
});
