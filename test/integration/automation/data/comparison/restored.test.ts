import { expect } from 'chai';
import type pg from 'pg';
import { close, connect, withClient } from '../../../../../automation/data/connect.ts';
import { copyDatabase } from '../../../../../automation/data/copying/schema.ts';
import { maskDatabase } from '../../../../../automation/data/masking/mask.ts';
import { findUnmasked } from '../../../../../automation/data/masking/unmasked.ts';
import { compareRestored, openMoment } from '../../../../../automation/data/comparison/restored.ts';
import { createRig, schemaV1, value, type Rig } from '../rig.ts';

/** Blue stands for the live database, green for what was restored of it. */
describe('a copy of a database that goes on changing', () => {
  let rig: Rig;
  let sessions: pg.Client[] = [];
  before(async () => {
    rig = await createRig();
  });
  afterEach(async () => {
    await Promise.all(sessions.map(close));
    sessions = [];
  });
  after(() => rig.dispose());

  /**
   * Copies blue to green; `first` changes blue between the first snapshot and the copy, `meanwhile` between the copy and
   * the second snapshot, `afterwards` changes the copy.
   */
  const compared = async (meanwhile: string, afterwards: string, { schema = schemaV1, first = 'SELECT 1' } = {}) => {
    await rig.fresh(schema);
    const session = async (side: Rig['blue']) => {
      const client = await connect(side.access, 'admin');
      sessions.push(client);
      return client;
    };
    const copy = await session(rig.green);
    const before = await openMoment(await session(rig.blue));
    await rig.run(rig.blue, first);
    await copyDatabase(rig.blue.access, rig.green.access);
    await rig.run(rig.blue, meanwhile);
    const after = await openMoment(await session(rig.blue));
    await rig.run(rig.green, afterwards);
    const { tables } = await compareRestored(before, after, copy);
    return Object.fromEntries(tables.map((table) => [table.table, table]));
  };

  it('is equal if nothing changed, and continues its sequences', async () => {
    const tables = await compared('SELECT 1', 'SELECT 1');
    expect(Object.values(tables).map(({ equal }) => equal)).to.deep.equal([true, true, true, true]);
    expect(tables['public.accounts']?.rows).to.deep.equal({ left: 500, right: 500 });
    await rig.run(rig.green, `INSERT INTO accounts (email) VALUES ('next@example.invalid')`);
    expect(await value<string>(rig.green, 'SELECT max(id)::text FROM accounts')).to.equal('501');
  });

  it('may lack only what was written meanwhile', async () => {
    const meanwhile = `UPDATE accounts SET balance = balance + 1 WHERE id <= 5; INSERT INTO accounts (email) VALUES ('late@example.invalid')`;
    const { 'public.accounts': good } = await compared(meanwhile, 'SELECT 1');
    expect(good).to.include({ equal: true });
    expect(good?.rows).to.deep.equal({ left: 495, right: 495 });
    expect(good?.detail).to.contain('495 rows that did not change');
  });

  it('differs if an unchanged row of a changed table is missing or different', async () => {
    const meanwhile = `UPDATE accounts SET balance = balance + 1 WHERE id = 1`;
    const damage = `DELETE FROM settings WHERE account = 7; UPDATE accounts SET balance = 0 WHERE id = 8`;
    const tables = await compared(meanwhile, damage);
    expect(tables['public.accounts']).to.include({ equal: false });
    expect(tables['public.accounts']?.detail).to.contain('1 of 499 rows');
    expect(tables['public.settings']).to.include({ equal: false });
  });

  describe('a table without a key that is written to meanwhile', () => {
    const schema = `CREATE TABLE log (level int, line text); INSERT INTO log SELECT i % 3, 'line ' || i / 4 FROM generate_series(1, 4000) i`;
    const writes: [title: string, first: string, meanwhile: string, stayed: number][] = [
      ['an INSERT', 'SELECT 1', `INSERT INTO log VALUES (1, 'late')`, 4000],
      ['another of a row that is there', 'SELECT 1', 'INSERT INTO log SELECT * FROM log LIMIT 1', 4000],
      ['an UPDATE', 'SELECT 1', `UPDATE log SET level = 9 WHERE line = 'line 7'`, 3996],
      ['a DELETE of one of several', 'SELECT 1', 'DELETE FROM log WHERE ctid = (SELECT min(ctid) FROM log)', 3999],
      ['rows that came and went', `INSERT INTO log VALUES (7, 'short')`, 'DELETE FROM log WHERE level = 7', 4000],
      [
        'rows that came and went, and others that stay',
        `INSERT INTO log VALUES (7, 'short')`,
        `DELETE FROM log WHERE level = 7; INSERT INTO log VALUES (8, 'stays')`,
        4000,
      ],
      ['rows that changed and changed back', `UPDATE log SET level = level + 3`, 'UPDATE log SET level = level - 3', 0],
    ];
    for (const [title, first, meanwhile, stayed] of writes) {
      it(`equals its copy: ${title} [K5]`, async () => {
        const { 'public.log': log } = await compared(meanwhile, 'SELECT 1', { schema, first });
        expect(log).to.deep.include({ equal: true, rows: { left: stayed, right: stayed } });
      });
    }

    const damages: [title: string, sql: string, missing: number][] = [
      [
        'one of several equal rows',
        `DELETE FROM log WHERE ctid = (SELECT min(ctid) FROM log WHERE line = 'line 9')`,
        1,
      ],
      ['rows in pairs', `DELETE FROM log WHERE line IN ('line 9', 'line 10')`, 8],
      ['all rows that say something else', `UPDATE log SET line = upper(line)`, 4000],
    ];
    for (const [title, damage, missing] of damages) {
      it(`differs if its copy lacks ${title} [K5]`, async () => {
        const late = `INSERT INTO log VALUES (1, 'late')`;
        const { 'public.log': log } = await compared(late, damage, { schema });
        expect(log).to.deep.include({ equal: false, rows: { left: 4000, right: 4000 - missing } });
        expect(log?.detail).to.equal(`${missing} of 4000 rows that did not change meanwhile are missing or different`);
      });
    }
  });

  it('compares a partitioned table that is written to meanwhile', async () => {
    const schema = `CREATE TABLE parts (id int, w text) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
      CREATE TABLE p2 PARTITION OF parts FOR VALUES FROM (100) TO (200); INSERT INTO parts SELECT i, 'w' FROM generate_series(1, 199) i`;
    const meanwhile = 'UPDATE parts SET id = id + 100 WHERE id = 50';
    const good = await compared(meanwhile, 'SELECT 1', { schema });
    expect(good['public.parts']).to.deep.include({ equal: true, rows: { left: 198, right: 198 } });
    const bad = await compared(meanwhile, 'DELETE FROM parts WHERE id IN (7, 107)', { schema });
    expect(bad['public.parts']).to.deep.include({ equal: false, rows: { left: 198, right: 196 } });
  });

  it('equals its copy if it is emptied or refreshed after the second look', async () => {
    await rig.fresh(
      'CREATE TABLE queue (id int); INSERT INTO queue VALUES (1), (2); CREATE MATERIALIZED VIEW seen AS SELECT * FROM queue',
    );
    const open = async (side: Rig['blue']) => {
      const client = await connect(side.access, 'admin');
      sessions.push(client);
      return client;
    };
    const before = await openMoment(await open(rig.blue));
    await copyDatabase(rig.blue.access, rig.green.access);
    const after = await openMoment(await open(rig.blue));
    await rig.run(rig.blue, 'REFRESH MATERIALIZED VIEW seen; TRUNCATE queue');
    const { tables } = await compareRestored(before, after, await open(rig.green));
    expect(tables.map(({ table, equal }) => [table, equal])).to.deep.equal([
      ['public.queue', true],
      ['public.seen', true],
    ]);
  });

  it('differs if a materialised view, a large object or a table of an extension lost content', async () => {
    const asAdmin = (side: Rig['blue'], sql: string) =>
      withClient(side.access, 'admin', async (client) => void (await client.query(sql)));
    await rig.fresh(
      'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2); CREATE MATERIALIZED VIEW seen AS SELECT * FROM t',
    );
    const settings = `CREATE EXTENSION hstore; CREATE TABLE settings (id int PRIMARY KEY); INSERT INTO settings VALUES (5); ALTER EXTENSION hstore ADD TABLE settings`;
    await asAdmin(rig.blue, `${settings}; SELECT lo_from_bytea(4711, 'text'), lo_create(4712)`);
    const damages: [sql: string, table: string, detail: string][] = [
      ['DELETE FROM settings', 'public.settings', '1 row only on the live database (id = 5)'],
      [
        'DELETE FROM t WHERE id = 2; REFRESH MATERIALIZED VIEW seen; INSERT INTO t VALUES (2)',
        'public.seen',
        '1 row of the live database has no equal on the other side (no primary key names them)',
      ],
      ['SELECT lo_unlink(4712)', 'large objects', '1 row only on the live database (oid = 4712)'],
      [`SELECT lo_put(4711, 0, 'T')`, 'large objects', '1 row with different content (loid = 4711, pageno = 0)'],
    ];
    for (const [sql, table, detail] of damages) {
      await rig.run(rig.green, 'SELECT 1');
      await asAdmin(
        rig.green,
        'DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION owner; SELECT lo_unlink(oid) FROM pg_largeobject_metadata',
      );
      await rig.run(
        rig.green,
        'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2); CREATE MATERIALIZED VIEW seen AS SELECT * FROM t',
      );
      await asAdmin(rig.green, `${settings}; SELECT lo_from_bytea(4711, 'text'), lo_create(4712); ${sql}`);
      const [before, after, copy] = [
        await connect(rig.blue.access, 'admin'),
        await connect(rig.blue.access, 'admin'),
        await connect(rig.green.access, 'admin'),
      ];
      sessions.push(before, after, copy);
      const { tables } = await compareRestored(await openMoment(before), await openMoment(after), copy);
      expect(
        tables.filter(({ equal }) => !equal).map((found) => [found.table, found.detail]),
        sql,
      ).to.deep.equal([[table, detail]]);
    }
    await asAdmin(rig.blue, 'SELECT lo_unlink(oid) FROM pg_largeobject_metadata');
    await asAdmin(rig.green, 'SELECT lo_unlink(oid) FROM pg_largeobject_metadata');
  });

  it('says that no backup has the rows of an unlogged table', async () => {
    const schema = 'CREATE UNLOGGED TABLE cache (id int); INSERT INTO cache VALUES (1)';
    const { 'public.cache': cache } = await compared('SELECT 1', 'TRUNCATE cache', { schema });
    expect(cache).to.include({ equal: true, detail: 'unlogged: a backup has none of its rows' });
  });

  it('compares the logged partitions of a table of which some are unlogged, also while it is written to', async () => {
    const schema = `CREATE TABLE parts (id int, w text) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
      CREATE UNLOGGED TABLE p2 PARTITION OF parts FOR VALUES FROM (100) TO (200); INSERT INTO parts SELECT i, 'w' FROM generate_series(1, 199) i`;
    for (const meanwhile of ['SELECT 1', 'INSERT INTO parts VALUES (7, NULL), (107, NULL)']) {
      const good = await compared(meanwhile, 'TRUNCATE p2', { schema });
      expect(good['public.parts']).to.deep.include({ equal: true, rows: { left: 99, right: 99 } });
      const bad = await compared(meanwhile, 'DELETE FROM parts WHERE id = 7 OR id > 99', { schema });
      expect(bad['public.parts']).to.deep.include({ equal: false, rows: { left: 99, right: 98 } });
    }
  });

  it('differs if it has extra rows in an unchanged table', async () => {
    const tables = await compared('SELECT 1', `INSERT INTO settings VALUES (1, 'language', 'en')`);
    expect(tables['public.settings']).to.deep.include({ equal: false, rows: { left: 500, right: 501 } });
    expect(tables['public.settings']?.detail).to.contain('1 row only on its copy (account = 1');
  });

  it('names missing rows by their primary key', async () => {
    const meanwhile = `UPDATE accounts SET balance = balance + 1 WHERE id = 1`;
    const tables = await compared(meanwhile, `DELETE FROM accounts WHERE id = 8`, {
      schema: schemaV1.replace('REFERENCES accounts', '').replace('REFERENCES accounts', ''),
    });
    expect(tables['public.accounts']?.detail).to.contain('(id = 8)');
  });

  it('contains personal data before masking, and none afterwards', async () => {
    await rig.fresh(schemaV1);
    await copyDatabase(rig.blue.access, rig.green.access);
    const rules = [{ table: 'accounts', column: 'email', with: 'email' as const }];
    const look = () => findUnmasked(rig.green.access, rig.blue.access, rules);
    expect(await look()).to.deep.equal([{ column: 'accounts.email', rows: 500, checked: 500 }]);
    await maskDatabase(rig.green.access, rules);
    expect(await look()).to.deep.equal([{ column: 'accounts.email', rows: 0, checked: 500 }]);
  });
});
