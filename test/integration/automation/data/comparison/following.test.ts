import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type pg from 'pg';
import { compareFollowing } from '../../../../../automation/data/comparison/following.ts';
import { withClient } from '../../../../../automation/data/connect.ts';
import { linkBetween, type Link } from '../../../../../automation/data/link.ts';
import { copySchema } from '../../../../../automation/data/copying/schema.ts';
import { followSync, startSync, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { judgeComparison } from '../../../../../automation/gates/data/judging.ts';
import { worst, type Gate } from '../../../../../automation/journal/verdict.ts';
import { runGate } from '../../../../../automation/gates/run.ts';
import { requireFollowing } from '../../../../../automation/release/steps/data/compare-inactive.ts';
import type { ReleaseContext } from '../../../../../automation/release/context/context.ts';
import { StageStopped } from '../../../../../automation/release/context/stage.ts';
import type { Colour } from '../../../../../infra/model.ts';
import { close, connect, createRig, expandV2, schemaV1, value, type Rig } from '../rig.ts';
import { MemoryRouter, Workload } from '../traffic.ts';

/** Blue is live and is written to; green follows, and is compared with it before any write is held. */
describe('the side that follows, compared with the live one', () => {
  let rig: Rig;
  let link: Link;
  let workload: Workload | undefined;
  before(async () => {
    rig = await createRig();
    link = linkBetween(rig.blue, rig.green);
  });
  afterEach(() => workload?.stop());
  after(() => rig.dispose());

  const follow = async (schema: string) => {
    await rig.fresh(schema);
    await copySchema(rig.blue.access, rig.green.access);
    await startSync(rig.blue, rig.green);
    await waitForSync(link, { timeoutMs: 30_000 });
  };
  const compared = async () => new Map((await compareFollowing(link, 'left')).map((table) => [table.table, table]));
  const orders = `CREATE TABLE orders (n int, state text); ALTER TABLE orders REPLICA IDENTITY FULL;
    INSERT INTO orders SELECT i / 2, 'OPEN' FROM generate_series(0, 999) i; CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (1)`;

  it('ignores settings that the owner has made for the application [B4] [H2]', async () => {
    await rig.fresh(orders);
    await withClient(rig.blue.access, 'admin', async (client) => {
      const settings = [
        `idle_session_timeout = '200ms'`,
        `idle_in_transaction_session_timeout = '200ms'`,
        `lock_timeout = '10ms'`,
        'row_security = off',
        `default_transaction_isolation = 'serializable'`,
        'default_transaction_read_only = on',
      ];
      for (const setting of settings) await client.query(`ALTER DATABASE app SET ${setting}`);
    });
    await copySchema(rig.blue.access, rig.green.access);
    await startSync(rig.blue, rig.green);
    await waitForSync(link, { timeoutMs: 30_000 });
    expect([...(await compared()).values()].map(({ equal }) => equal)).to.deep.equal([true, true]);
  });

  it('finds missing rows whose UPDATE was silently skipped, and names the table [N2]', async () => {
    await follow(orders);
    await rig.run(rig.green, `DELETE FROM orders WHERE n < 100`);
    await rig.run(rig.blue, `UPDATE orders SET state = 'paid'`);
    const tables = await compared();
    expect(tables.get('public.orders')).to.deep.include({ equal: false, rows: { left: 1000, right: 800 } });
    expect(tables.get('public.orders')?.detail).to.equal(
      '200 of 1000 rows that did not change meanwhile are missing or different',
    );
    expect(tables.get('public.other')?.equal).to.equal(true);
    const judged = judgeComparison([...tables.values()]);
    expect(worst(judged.map(({ verdict }) => verdict))).to.equal('fail');
    expect(judged.map(({ name }) => name)).to.include('table public.orders');
    expect(await value(rig.blue, `SELECT count(*)::int FROM orders WHERE state = 'paid'`)).to.equal(1000);
  });

  for (const [what, sql] of [
    ['a row', `INSERT INTO configuration VALUES ('later', 'x')`],
    ['a changed row', `UPDATE configuration SET value = 'changed'`],
  ] as const) {
    it(`finds ${what} that users wrote into a table of an extension since the copy [B7]`, async () => {
      const owned = async (client: pg.Client) => {
        await client.query('CREATE EXTENSION unaccent; CREATE TABLE configuration (key text PRIMARY KEY, value text)');
        await client.query(`INSERT INTO configuration VALUES ('of a user', 'kept')`);
        await client.query('ALTER EXTENSION unaccent ADD TABLE configuration');
      };
      await rig.fresh(orders);
      await withClient(rig.blue.access, 'admin', owned);
      link = await rig.seed();
      await followSync(link);
      await waitForSync(link, { timeoutMs: 30_000 });
      expect((await compared()).get('public.configuration')).to.deep.include({
        equal: true,
        rows: { left: 1, right: 1 },
      });
      await withClient(rig.blue.access, 'admin', (client) => client.query(sql));
      const found = (await compared()).get('public.configuration');
      expect(found?.equal).to.equal(false);
      expect(found?.detail).to.include('belongs to an extension');
    });
  }

  it('stops the release before writes are held, with the schema that differs [C1] [C2]', async () => {
    await follow(
      `${orders}; CREATE FUNCTION price(int) RETURNS int LANGUAGE sql AS 'SELECT $1'; CREATE DOMAIN code AS text`,
    );
    const directory = await mkdtemp(join(tmpdir(), 'greenlight-following-'));
    const [acts, notes]: string[][] = [[], []];
    const context = {
      to: { colour: 'green' },
      signal: new AbortController().signal,
      connect: () => Promise.resolve({ databases: { of: (colour: Colour) => Promise.resolve(rig[colour].access) } }),
      gates: (gates: Gate[]) => Promise.all(gates.map((gate) => runGate(gate, { releaseDirectory: directory }))),
      act: (_: string, what: string, work: () => Promise<void>) => (acts?.push(what), work()),
      note: (text: string) => notes?.push(text),
    } as unknown as ReleaseContext;
    try {
      await rig.run(rig.blue, `CREATE OR REPLACE FUNCTION price(int) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1'`);
      await requireFollowing(context, 'blue');
      expect(await value(rig.green, 'SELECT price(3)')).to.equal(6);
      expect([acts, notes]).to.deep.equal([
        ['repeat on green: function public.price(integer) was replaced on blue'],
        ['function public.price(integer) was replaced on blue: repeated on green'],
      ]);
      await rig.run(rig.blue, `ALTER DOMAIN code ADD CONSTRAINT short CHECK (length(VALUE) < 9)`);
      const stopped = await requireFollowing(context, 'blue').catch((error: unknown) => error);
      expect(stopped).to.be.instanceOf(StageStopped);
      expect((stopped as StageStopped).message).to.include('constraint public.code.short was added on blue');
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });

  it('stops the release before writes are held, with the table and the number of rows [N2]', async () => {
    await follow(orders);
    const directory = await mkdtemp(join(tmpdir(), 'greenlight-following-'));
    const context = {
      to: { colour: 'green' },
      signal: new AbortController().signal,
      connect: () => Promise.resolve({ databases: { of: (colour: Colour) => Promise.resolve(rig[colour].access) } }),
      gates: (gates: Gate[]) => Promise.all(gates.map((gate) => runGate(gate, { releaseDirectory: directory }))),
    } as unknown as ReleaseContext;
    try {
      await requireFollowing(context, 'blue');
      await rig.run(rig.green, 'DELETE FROM orders WHERE n < 10');
      const stopped = await requireFollowing(context, 'blue').catch((error: unknown) => error);
      expect(stopped).to.be.instanceOf(StageStopped).and.to.include({ outcome: 'no-go' });
      expect((stopped as Error).message)
        .to.contain('table public.orders')
        .and.to.contain('20 of 1000 rows');
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('finds 1,000 different rows that occur in equal pairs [N1] [N2]', async () => {
    await follow(orders);
    // Other rows than the live side has: no UPDATE finds one of them.
    await rig.run(rig.green, 'UPDATE orders SET n = n + 5000');
    await rig.run(rig.blue, `UPDATE orders SET state = 'paid'`);
    await waitForSync(link, { timeoutMs: 30_000 });
    await rig.run(rig.green, 'UPDATE orders SET n = n - 5000');
    const found = (await compared()).get('public.orders');
    expect(found).to.deep.include({ equal: false, rows: { left: 1000, right: 0 } });
    expect(found?.detail).to.contain('1000 of 1000 rows').and.to.contain('1000 rows').and.to.contain('not on blue');
  });

  it('says of a table without a key why rows that are equal and do not look so changed places, and nothing of other types', async () => {
    await follow(`CREATE TABLE prices (n numeric, id int); ALTER TABLE prices REPLICA IDENTITY FULL; INSERT INTO prices VALUES (1.0, 0), (1.00, 0);
      CREATE TABLE words (n int); ALTER TABLE words REPLICA IDENTITY FULL; INSERT INTO words VALUES (1)`);
    await rig.run(rig.blue, `UPDATE prices SET id = 1 WHERE n::text = '1.00'`);
    await rig.run(rig.green, 'UPDATE words SET n = 2');
    const tables = await compared();
    expect(tables.get('public.prices')?.detail).to.match(
      /; with REPLICA IDENTITY FULL a change can reach another row whose n \(numeric\) is equal and does not look so, as 1\.0 and 1\.00: a primary key ends that$/,
    );
    expect(tables.get('public.words')?.detail).to.match(/1 row that did not change meanwhile is not on blue$/);
  });

  it('finds extra rows, and names them by their key', async () => {
    await follow(schemaV1);
    await rig.run(rig.green, `INSERT INTO settings VALUES (3, 'language', 'en')`);
    await rig.run(rig.green, `UPDATE accounts SET balance = 0 WHERE id = 7`);
    const tables = await compared();
    expect(tables.get('public.settings')?.detail).to.match(
      /^1 row that did not change meanwhile is not on blue \(account = 3, name = sha256:\w+\)$/,
    );
    expect(tables.get('public.accounts')?.detail).to.equal(
      '1 of 500 rows that did not change meanwhile are missing or different (id = 7), 1 row that did not change meanwhile is not on blue (id = 7)',
    );
  });

  it('is equal while the live side is written to, also after an additive migration with a backfill and triggers', async () => {
    await follow(`${schemaV1} CREATE TABLE jobs (n int); ALTER TABLE jobs REPLICA IDENTITY FULL`);
    workload = new Workload(rig, new MemoryRouter(), 300);
    const busy = await connect(rig.blue.access, 'owner');
    let ended = false;
    // Rows that come and go, a counter, and a flag that is set and put back: all within one look.
    const churn = (async () => {
      for (let i = 0; !ended; i++)
        await busy.query(
          `INSERT INTO jobs VALUES (${i}); UPDATE settings SET value = 'x' WHERE account = 1; UPDATE settings SET value = 'dark' WHERE account = 1; DELETE FROM jobs WHERE n < ${i - 2}`,
        );
    })();
    try {
      await workload.more(200);
      const different = async () =>
        [...(await compared()).values()].filter(({ equal }) => !equal).map(({ table, detail }) => [table, detail]);
      for (let round = 0; round < 3; round++) expect(await different()).to.deep.equal([]);
      await rig.run(rig.green, `${expandV2}; UPDATE entries SET doubled = amount * 2 WHERE doubled IS NULL`);
      for (let round = 0; round < 3; round++) expect(await different()).to.deep.equal([]);
      await rig.run(
        rig.green,
        `DELETE FROM accounts WHERE id = 499 AND NOT EXISTS (SELECT FROM entries WHERE account = 499); DELETE FROM settings WHERE account = 400`,
      );
      expect((await different()).map(([table]) => table)).to.include('public.settings');
    } finally {
      ended = true;
      await churn;
      await close(busy);
    }
    await workload.stop();
    expect(workload.failures).to.deep.equal([]);
  });

  it('finds large objects that were written since the copy [B10]', async () => {
    await follow(orders);
    const everywhere = async (sql: string) => {
      for (const { access } of [rig.blue, rig.green]) await withClient(access, 'admin', (client) => client.query(sql));
    };
    expect((await compared()).has('large objects')).to.equal(false);
    await everywhere(`SELECT lo_from_bytea(4711, 'as of the copy')`);
    expect((await compared()).get('large objects')?.equal).to.equal(true);
    await rig.run(rig.green, 'INSERT INTO other VALUES (2)');
    const twice = (await compareFollowing(link, 'left')).map(({ table, equal }) => [table, equal]);
    expect(twice).to.deep.equal([
      ['public.orders', true],
      ['large objects', true],
      ['public.other', false],
    ]);
    await withClient(rig.blue.access, 'admin', (client) => client.query(`SELECT lo_put(4711, 0, 'AS')`));
    const changed = (await compared()).get('large objects');
    expect(changed?.equal).to.equal(false);
    expect(changed?.detail).to.contain('not replicated: keep their content in a bytea column');
    await everywhere('SELECT lo_unlink(4711)');
  });

  it('finds changes that a migration made to shared columns [D3]', async () => {
    await follow(schemaV1);
    await rig.run(rig.green, `UPDATE accounts SET email = upper(email) WHERE id <= 20`);
    expect((await compared()).get('public.accounts')?.detail).to.contain('20 of 500 rows');
  });

  it('finds rows that only one side truncated [N7]', async () => {
    await follow('CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 10)');
    await rig.run(rig.green, 'CREATE TABLE b (id int PRIMARY KEY REFERENCES a)');
    await rig.run(rig.green, 'TRUNCATE a CASCADE');
    expect((await compared()).get('public.a')).to.deep.include({ equal: false, rows: { left: 10, right: 0 } });
  });

  it('rejects with the cause if the replication has stopped', async () => {
    await follow(schemaV1);
    await rig.run(rig.green, `INSERT INTO settings VALUES (1, 'size', 'x')`);
    await rig.run(rig.blue, `INSERT INTO settings VALUES (1, 'size', 'y')`);
    const error = await compareFollowing(link, 'left').catch((e: unknown) => e);
    expect(error).to.have.property('found').that.includes('is already on green');
  });
});
