import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { cutover } from '../../../../../automation/data/cutover/cutover.ts';
import { close, connect, rows, withClient } from '../../../../../automation/data/connect.ts';
import { bringBack, bringBackUnfit, type Brought } from '../../../../../automation/data/kept/bring-back.ts';
import { keepAside, wouldKeep } from '../../../../../automation/data/kept/keep.ts';
import { copyDatabase, copySchema } from '../../../../../automation/data/copying/schema.ts';
import { resetDatabase } from '../../../../../automation/data/schema.ts';
import { startSync, stopSync, syncStatus, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { markExpanded, markLive, unmark } from '../../../../../automation/data/written-by.ts';
import { linkBetween, type Side } from '../../../../../automation/data/link.ts';
import { createRig, migrate, value, type Rig } from '../rig.ts';
import { MemoryRouter } from '../traffic.ts';

const schema = `
  CREATE TABLE accounts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL);
  CREATE TABLE notes (body text NOT NULL, at int NOT NULL, UNIQUE (body)); ALTER TABLE notes REPLICA IDENTITY USING INDEX notes_body_key;
  ALTER TABLE notes ALTER body SET NOT NULL;
  INSERT INTO accounts (email) SELECT 'u' || i FROM generate_series(1, 20) i; INSERT INTO notes VALUES ('a', 1), ('b', 2)`;

/** What the new version adds: a table with a foreign key and an identity, columns, no key, partitions, types of its own. */
const migration = `
  CREATE TYPE pace AS ENUM ('slow', 'fast');
  CREATE TABLE reminders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account bigint NOT NULL REFERENCES accounts, pace pace,
    body jsonb, raw bytea, at timestamptz, amount numeric(8,3), tags text[], twice int GENERATED ALWAYS AS (1 + 1) STORED);
  CREATE TABLE seen (what text, n int);
  CREATE TABLE parts (at int, v text, PRIMARY KEY (at)) PARTITION BY RANGE (at);
  CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100); CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (100) TO (200);
  CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree, leaf int REFERENCES reminders);
  CREATE SEQUENCE tickets START 500;
  CREATE TABLE kinds (name text PRIMARY KEY, hits int NOT NULL DEFAULT 0);
  INSERT INTO kinds VALUES ('mail'), ('post'); INSERT INTO seen VALUES ('seed', 1);
  ALTER TABLE accounts ADD COLUMN points int NOT NULL DEFAULT 0, ADD COLUMN nick text;
  ALTER TABLE notes ADD COLUMN colour text DEFAULT 'white'`;

/** What users of the new version do. */
const use = `
  INSERT INTO accounts (email, points) VALUES ('new', 7);
  INSERT INTO reminders (account, pace, body, raw, at, amount, tags)
    VALUES (3, 'fast', '{"a": ["\\u00e4", null], "n": 1.50}', '\\x00ff10', '2026-03-04 05:06:07.123456+02', 12345.678, ARRAY['x,y', NULL, '"']),
           (21, NULL, 'null', '', NULL, NULL, '{}'), (4, 'slow', NULL, NULL, '-infinity', 'NaN', NULL);
  INSERT INTO seen VALUES ('twice', 2), ('twice', 2), (NULL, NULL);
  INSERT INTO parts VALUES (5, 'low'), (150, 'high');
  INSERT INTO tree VALUES (9, NULL, NULL), (1, 9, 2); INSERT INTO tree VALUES (2, 1, 1);
  SELECT nextval('tickets'), nextval('tickets');
  UPDATE kinds SET hits = 5 WHERE name = 'mail';
  UPDATE accounts SET points = 3, nick = 'Zoë' WHERE id = 5; UPDATE accounts SET email = 'mailed' WHERE id = 6;
  UPDATE notes SET colour = 'red' WHERE body = 'b'`;

describe('what only the new version knows, at a way back', () => {
  let rig: Rig;
  let router: MemoryRouter;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());
  const settings = { holdMs: 4000, drainMs: 1000 };
  const admin = <T>(side: Side, work: Parameters<typeof withClient<T>>[2]): Promise<T> =>
    withClient(side.access, 'admin', work);
  const all = (side: Side, sql: string) =>
    withClient(side.access, 'owner', (client) => rows<Record<string, unknown>>(client, sql));

  /** A try of the new version, up to the moment in which it is live on green. Resolves to what was brought back. */
  async function go(release: string, sql = migration): Promise<Brought[]> {
    const { blue, green } = rig;
    await resetDatabase(green.access, 'green');
    await copySchema(blue.access, green.access);
    await waitForSync(await startSync(blue, green), { timeoutMs: 30_000 });
    await migrate(rig, sql);
    await admin(green, (client) => markExpanded(client, { release, version: '2.0.0' }));
    const brought = await bringBack(green.access);
    await admin(green, markLive);
    const moved = await cutover({ router, from: blue, to: green, direction: 'forward', settings });
    expect(moved.problems).to.deep.equal([]);
    expect(moved.equal).to.equal(true);
    return brought;
  }

  async function back(): Promise<void> {
    const { blue, green } = rig;
    const moved = await cutover({ router, from: green, to: blue, direction: 'rollback', settings });
    expect(moved.problems).to.deep.equal([]);
    await keepAside(green, blue);
  }

  const counted = async () =>
    (await keepAside(rig.green, rig.blue))
      .filter(({ kind }) => kind !== 'sequence')
      .map(({ kind, relation, rows: n }) => `${kind} ${relation} ${n}`)
      .sort();

  beforeEach(async () => {
    await rig.fresh(schema);
    router = new MemoryRouter();
    expect(await go('one')).to.deep.equal([]);
  });

  afterEach(() => admin(rig.green, unmark));

  it('is counted beforehand, kept, and comes back whole at the next try [D6] [D9]', async () => {
    await rig.run(rig.green, use);
    const foreseen = (await wouldKeep(rig.green, rig.blue)).map(
      ({ kind, relation, rows: n }) => `${kind} ${relation} ${n}`,
    );
    await back();
    const kept = await counted();
    expect(kept).to.deep.equal([
      'columns public.accounts 2',
      'columns public.notes 1',
      'table public.kinds 1',
      'table public.parts 2',
      'table public.reminders 3',
      'table public.seen 3',
      'table public.tree 3',
    ]);
    expect(foreseen.sort()).to.deep.equal(kept);
    const tables = ['reminders', 'parts', 'tree', 'kinds'];
    const before = await Promise.all(tables.map((name) => all(rig.green, `SELECT * FROM ${name} ORDER BY 1`)));
    const seen = await all(rig.green, 'SELECT * FROM seen ORDER BY 1, 2');
    const accounts = await all(rig.green, 'SELECT * FROM accounts ORDER BY 1');

    const brought = await go('two');
    expect(brought.filter(({ left }) => left.length > 0)).to.deep.equal([]);
    const after = await Promise.all(tables.map((name) => all(rig.green, `SELECT * FROM ${name} ORDER BY 1`)));
    expect(after).to.deep.equal(before);
    expect(await all(rig.green, 'SELECT * FROM seen ORDER BY 1, 2')).to.deep.equal(seen);
    expect(await all(rig.green, 'SELECT * FROM accounts ORDER BY 1')).to.deep.equal(accounts);
    expect(await value(rig.green, `SELECT colour FROM notes WHERE body = 'b'`)).to.equal('red');
    // Neither number is given out twice.
    expect(await value(rig.green, `INSERT INTO reminders (account) VALUES (1) RETURNING id`)).to.equal(4);
    expect(await value(rig.green, `SELECT nextval('tickets')`)).to.equal('502');
  });

  it('survives a second way back, with what the second try changed and deleted', async () => {
    await rig.run(rig.green, use);
    await back();
    await go('two');
    await rig.run(
      rig.green,
      `DELETE FROM tree; DELETE FROM reminders WHERE id = 3; UPDATE reminders SET body = '2' WHERE id = 1; INSERT INTO seen VALUES ('more', 3)`,
    );
    await back();
    await go('three');
    expect(await all(rig.green, 'SELECT id, body FROM reminders ORDER BY id')).to.deep.equal([
      { id: 1, body: 2 },
      { id: 2, body: null },
    ]);
    expect(await value(rig.green, 'SELECT count(*)::int FROM seen')).to.equal(5);
    expect(await value(rig.green, 'SELECT count(*)::int FROM tree')).to.equal(0);
  });

  it('is named and stays kept where its parent is gone, its key is gone, or the schema has changed', async () => {
    await rig.run(rig.green, use);
    await back();
    await rig.run(rig.blue, 'DELETE FROM accounts WHERE id IN (4, 5)');
    const changed = migration
      .replace('amount numeric(8,3)', 'amount numeric(8,2)')
      .replace('CREATE TABLE seen (what text, n int)', 'CREATE TABLE seen (what text)')
      .replace(`INSERT INTO seen VALUES ('seed', 1);`, '')
      .replace('v text, PRIMARY KEY (at)', 'v varchar(3), PRIMARY KEY (at)');
    const said = (await go('two', changed)).flatMap(({ relation, left }) =>
      left.map(({ rows: n, reason }) => `${relation} ${n}: ${reason}`),
    );
    expect(said.sort()).to.deep.equal([
      'public.accounts 1: no row, or more than one, of public.accounts has that key',
      'public.parts 1: a value does not fit its column of public.parts',
      'public.reminders 1: a value does not fit its column of public.reminders',
      'public.reminders 1: insert or update on table "reminders" violates foreign key constraint "reminders_account_fkey"',
      'public.seen 3: public.seen has no column n any more',
      'public.tree 1: insert or update on table "tree" violates foreign key constraint "tree_leaf_fkey"',
    ]);
    expect(await all(rig.green, 'SELECT id FROM reminders')).to.deep.equal([{ id: 2 }]);
    expect(await all(rig.green, 'SELECT id FROM tree ORDER BY id')).to.deep.equal([{ id: 1 }, { id: 9 }]);
    // At the try after that, with the first schema again, they fit.
    await back();
    const third = await go('three');
    expect(
      third
        .filter(({ relation }) => relation === 'public.parts' || relation === 'public.seen')
        .flatMap(({ left }) => left),
    ).to.deep.equal([]);
    expect(await value(rig.green, 'SELECT v FROM parts WHERE at = 150')).to.equal('high');
    expect(await value(rig.green, `SELECT count(*)::int FROM seen`)).to.equal(4);
  });

  it('fires no trigger of the new version a second time, and leaves its triggers as they were', async () => {
    const counting = `${migration};
      CREATE FUNCTION count_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE kinds SET hits = hits + 1 WHERE name = 'post'; RETURN NEW; END $$;
      CREATE TRIGGER count_it AFTER INSERT ON parts FOR EACH ROW EXECUTE FUNCTION count_it(); ALTER TABLE seen ENABLE ROW LEVEL SECURITY;
      CREATE TRIGGER always AFTER INSERT ON seen FOR EACH ROW EXECUTE FUNCTION count_it(); ALTER TABLE seen ENABLE ALWAYS TRIGGER always`;
    await back();
    await go('two', counting);
    await rig.run(rig.green, `INSERT INTO parts VALUES (7, 'x'); INSERT INTO seen VALUES ('y', 1)`);
    expect(await value(rig.green, `SELECT hits FROM kinds WHERE name = 'post'`)).to.equal(2);
    await back();
    await go('three', counting);
    expect(await value(rig.green, `SELECT hits FROM kinds WHERE name = 'post'`)).to.equal(2);
    await rig.run(rig.green, `INSERT INTO parts VALUES (8, 'x')`);
    expect(await value(rig.green, `SELECT hits FROM kinds WHERE name = 'post'`)).to.equal(3);
    expect(await value(rig.green, `SELECT tgenabled FROM pg_trigger WHERE tgname = 'always'`)).to.equal('A');
  });

  it('keeps the colour from being emptied until it is done, and is done again after an interruption', async () => {
    await rig.run(rig.green, use);
    const moved = await cutover({ router, from: rig.green, to: rig.blue, direction: 'rollback', settings });
    expect(moved.problems).to.deep.equal([]);
    const refused = await resetDatabase(rig.green.access, 'green').catch((error: Error) => error.message);
    expect(refused).to.contain('what only it knows is not kept aside yet');
    // As if the program had ended after the rows were kept, and before that was noted.
    await keepAside(rig.green, rig.blue);
    await admin(rig.green, (client) => client.query('UPDATE greenlight.written_by SET kept = false'));
    await keepAside(rig.green, rig.blue);
    expect(await counted()).to.have.length(7);
    expect(await value(rig.blue, `SELECT 1`)).to.equal(1);
    await resetDatabase(rig.green.access, 'green');
  });

  it('is nothing the application may read, and nothing that reaches staging', async () => {
    await rig.run(rig.green, use);
    await back();
    const asked = await withClient(rig.blue.access, 'app', (client) =>
      client.query('SELECT * FROM greenlight.kept_rows'),
    ).catch((error: Error) => error.message);
    expect(asked).to.contain('permission denied');
    await resetDatabase(rig.green.access, 'green');
    await copyDatabase(rig.blue.access, rig.green.access);
    const left = await admin(rig.green, (client) => rows(client, 'SELECT 1 FROM greenlight.kept_rows'));
    expect(left).to.deep.equal([]);
  });

  it('brings rows that only the new schema holds back at the end of the next try, where the live side has not changed them [D9]', async () => {
    const wider = `${migration}; ALTER TABLE sums ALTER n TYPE bigint`;
    await rig.run(
      rig.blue,
      `CREATE TABLE sums (id int PRIMARY KEY, n int, note text DEFAULT '-'); INSERT INTO sums SELECT i, i FROM generate_series(1, 4) i; INSERT INTO sums VALUES (8, 8)`,
    );
    const large = 3_000_000_000;
    await back();
    await go('two', wider);
    await rig.run(
      rig.green,
      `UPDATE sums SET n = ${large} + id WHERE id IN (1, 2, 3, 8); INSERT INTO sums VALUES (5, ${large}), (6, ${large}), (7, 7)`,
    );
    const link = linkBetween(rig.green, rig.blue);
    while ((await syncStatus(link)).state !== 'broken') await sleep(50);
    const moved = await cutover({
      router,
      from: rig.green,
      to: rig.blue,
      direction: 'rollback',
      settings,
      rest: 'apply',
    });
    expect(moved.problems).to.deep.equal([]);
    await keepAside(rig.green, rig.blue);
    // The old version goes on.
    await rig.run(
      rig.blue,
      `UPDATE sums SET note = 'mine' WHERE id = 2; DELETE FROM sums WHERE id = 3; INSERT INTO sums VALUES (6, 6, 'mine')`,
    );
    const brought = await go('three', wider);
    expect(brought.filter(({ kind }) => kind === 'unfit')[0]?.left).to.deep.equal([
      { rows: 6, reason: 'brought back when the way back has ended' },
    ]);
    await stopSync(link);
    // One that is being changed at that moment. Where that takes too long, nothing is brought back this time.
    const writer = await connect(rig.green.access, 'owner');
    await writer.query(`BEGIN; UPDATE sums SET note = 'newer' WHERE id = 8`);
    let over = false;
    const beside = bringBackUnfit(rig.green.access)
      .catch(() => undefined)
      .finally(() => (over = true));
    while (!over && (await value(rig.green, 'SELECT count(*)::int FROM pg_locks WHERE NOT granted')) === 0)
      await sleep(5);
    await writer.query('COMMIT');
    await close(writer);
    const [last] = (await beside) ?? (await bringBackUnfit(rig.green.access));
    expect(last).to.deep.include({
      relation: 'public.sums',
      rows: 2,
      left: [{ rows: 4, reason: 'what public.sums has under that key was changed since' }],
    });
    expect(
      await all(rig.green, `SELECT concat_ws(' ', id, n - ${large}, note) AS s FROM sums WHERE n > 100 ORDER BY id`),
    ).to.deep.equal([{ s: '1 1 -' }, { s: '5 0 -' }]);
    expect(await all(rig.green, 'SELECT id, n, note FROM sums WHERE n < 100 ORDER BY id')).to.deep.equal([
      { id: 2, n: '2', note: 'mine' },
      { id: 4, n: '4', note: '-' },
      { id: 6, n: '6', note: 'mine' },
      { id: 7, n: '7', note: '-' },
      { id: 8, n: '8', note: 'newer' },
    ]);
    expect((await bringBackUnfit(rig.green.access))[0]?.rows).to.equal(0);
  });
});
