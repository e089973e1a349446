import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type pg from 'pg';
import { compareEverything, type Comparison } from '../../../../../automation/data/comparison/everything.ts';
import { connect, withClient } from '../../../../../automation/data/connect.ts';
import { dataDirectory, startCluster, stopCluster } from '../../../../../infra/local/postgres/cluster.ts';
import { createRig, value, type Rig } from '../rig.ts';

describe('a comparison of all that two databases have', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());

  const asAdmin = (side: Rig['blue'], sql: string) =>
    withClient(side.access, 'admin', async (client) => void (await client.query(sql)));
  const opens =
    ({ access }: Rig['blue']) =>
    async (): Promise<pg.Client> => {
      const client = await connect(access, 'admin');
      await client.query(`SET lock_timeout = '200ms'`);
      return client;
    };
  const compare = (wanted?: (name: string) => boolean, right = rig.green): Promise<Comparison> =>
    compareEverything(opens(rig.blue), opens(right), { names: { left: 'left', right: 'right' }, wanted, sessions: 2 });
  /** Blue as the first says, green as the second; tables alone, as the write right differs. */
  const tablesOf = async (blue: string, green = blue): Promise<Comparison> => {
    await rig.fresh('SELECT 1');
    await rig.run(rig.blue, blue);
    await rig.run(rig.green, green);
    return await compare((name) => name.startsWith('public.'));
  };

  it('is equal for numbers that are no number, however they came to be', async () => {
    const table = (nan: string) =>
      `CREATE TABLE t (id int PRIMARY KEY, f float8, g float4, a float8[]); INSERT INTO t VALUES (1, ${nan}, ${nan}, ARRAY[${nan}])`;
    expect(await tablesOf(table(`float8 'NaN'`), table(`-float8 'NaN'`))).to.include({ verdict: 'equal' });
  });

  it('finds what a cast of the application leaves out', async () => {
    const table = (currency: string) => `CREATE TYPE amount AS (value numeric, currency text);
      CREATE FUNCTION shown(amount) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ($1).value::text'; CREATE CAST (amount AS text) WITH FUNCTION shown(amount);
      CREATE TABLE t (id int PRIMARY KEY, paid amount); INSERT INTO t VALUES (7, ROW(5, '${currency}'))`;
    const { tables } = await tablesOf(table('EUR'), table('USD'));
    expect(tables.map(({ detail }) => detail)).to.deep.equal(['1 row with different content (id = 7)']);
    expect(await tablesOf(table('EUR'))).to.include({ verdict: 'equal' });
  });

  it('tells elements from other lower bounds, and rows of nulls from no row', async () => {
    const table = (a: string, r: string) =>
      `CREATE TYPE pair AS (x int, y text); CREATE TABLE a (v int[]); INSERT INTO a VALUES (${a}); CREATE TABLE r (v pair); INSERT INTO r VALUES (${r})`;
    const { tables } = await tablesOf(table(`'[0:1]={1,2}'`, 'ROW(NULL, NULL)'), table(`'{1,2}'`, 'NULL'));
    expect(tables.map(({ equal }) => equal)).to.deep.equal([false, false]);
  });

  it('knows materialised views without content: equal on both sides, different on one', async () => {
    const view = (filled: string) =>
      `CREATE TABLE t (id int); CREATE MATERIALIZED VIEW v AS SELECT * FROM t WITH ${filled}`;
    expect(await tablesOf(view('NO DATA'))).to.include({ verdict: 'equal' });
    const { verdict, tables } = await tablesOf(view('DATA'), view('NO DATA'));
    expect(verdict).to.equal('different');
    expect(tables.find(({ table }) => table === 'public.v')?.detail).to.equal(
      'without content on right alone (WITH NO DATA)',
    );
  });

  it('finds rows and sequences of tables that belong to an extension [B7]', async () => {
    await rig.fresh('SELECT 1');
    const own = `CREATE EXTENSION hstore; CREATE TABLE settings (id serial PRIMARY KEY, v text); INSERT INTO settings (v) VALUES ('a');
      ALTER EXTENSION hstore ADD TABLE settings; ALTER EXTENSION hstore ADD SEQUENCE settings_id_seq`;
    for (const side of [rig.blue, rig.green]) await asAdmin(side, own);
    const settings = (name: string) => name.startsWith('public.settings');
    expect(await compare(settings)).to.include({ verdict: 'equal' });
    await asAdmin(rig.green, `UPDATE settings SET v = 'b'; SELECT nextval('settings_id_seq')`);
    const { tables, sequences } = await compare(settings);
    expect(tables[0]?.detail).to.equal('1 row with different content (id = 1)');
    expect(sequences.different).to.deep.equal([{ name: 'public.settings_id_seq', left: '1', right: '2' }]);
  });

  it('names what it cannot read, and compares the rest: what another session has locked', async () => {
    const found = await tablesOf(
      `CREATE TABLE a (id int); INSERT INTO a VALUES (1); CREATE TABLE b (id int); CREATE SEQUENCE s`,
    );
    expect(found).to.include({ verdict: 'equal' });
    await withClient(rig.green.access, 'owner', async (locking) => {
      await locking.query('BEGIN; LOCK TABLE b; DROP SEQUENCE s; DELETE FROM a');
      const { verdict, notRead, tables } = await compare((name) => name.startsWith('public.'));
      expect(verdict).to.equal('unknown');
      expect(tables.map(({ table }) => table)).to.deep.equal(['public.a']);
      expect(notRead.map(({ what, side }) => `${what} ${side}`)).to.have.members(['public.b right', 'public.s right']);
      for (const { reason } of notRead) expect(reason).to.match(/lock timeout/);
      await locking.query('ROLLBACK');
    });
    await rig.run(rig.green, 'DELETE FROM a; ALTER TABLE b ADD d int GENERATED ALWAYS AS (id * 2) STORED');
    expect(await compare((name) => name === 'public.a')).to.include({ verdict: 'different' });
  });

  it('names a table with a damaged page, and one with a partition on a server that cannot be reached', async () => {
    await tablesOf(
      'CREATE TABLE good (id int); CREATE TABLE bad (id int); INSERT INTO bad VALUES (1); CREATE TABLE p (id int) PARTITION BY RANGE (id)',
    );
    await asAdmin(rig.green, 'CHECKPOINT');
    const path = await value<string>(rig.green, `SELECT pg_relation_filepath('bad')`);
    await stopCluster(rig.specs.green);
    const file = join(dataDirectory(rig.specs.green), path);
    const content = await readFile(file);
    content.writeUInt8(content.readUInt8(8190) ^ 1, 8190);
    await writeFile(file, content);
    await startCluster(rig.specs.green);
    await asAdmin(
      rig.green,
      `CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1');
       CREATE USER MAPPING FOR admin SERVER far OPTIONS (user 'u', password 'a secret'); CREATE FOREIGN TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9) SERVER far`,
    );
    const found = await compare((name) => name.startsWith('public.'));
    expect(found.tables.map(({ table }) => table)).to.deep.equal(['public.good']);
    expect(found.notRead.map(({ what, side }) => `${what} ${side}`)).to.have.members([
      'public.bad right',
      'public.p right',
    ]);
    const reasons = found.notRead.map(({ reason }) => reason).join();
    expect(reasons)
      .to.include('invalid page')
      .and.to.include('could not connect to server')
      .and.not.to.include('secret');
  });

  it('calls nothing equal of which it compared nothing, and says that both sides are one database', async () => {
    await tablesOf('CREATE TABLE t (id int)');
    await asAdmin(
      rig.green,
      `CREATE EXTENSION file_fdw; CREATE SERVER f FOREIGN DATA WRAPPER file_fdw; CREATE FOREIGN TABLE elsewhere (id int) SERVER f OPTIONS (filename '/none')`,
    );
    expect(await compare((name) => name === 'public.elsewhere')).to.deep.include({
      verdict: 'unknown',
      leftOut: ['public.elsewhere'],
    });
    await asAdmin(rig.blue, 'CREATE TABLE greenlight.lamps (id int); CREATE TABLE greenlight.kept_rows (id int)');
    expect((await compare()).leftOut).to.deep.equal(['greenlight.lamps', 'public.elsewhere']);
    expect(await compare((name) => name === 'public.t')).not.to.have.property('sameDatabase');
    expect(await compare(undefined, rig.blue)).to.include({ verdict: 'equal', sameDatabase: true });
  });
});
