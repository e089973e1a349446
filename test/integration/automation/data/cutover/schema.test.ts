import { expect } from 'chai';
import { CutoverAborted } from '../../../../../automation/data/cutover/cutover.ts';
import { compareFollowing } from '../../../../../automation/data/comparison/following.ts';
import { withClient } from '../../../../../automation/data/connect.ts';
import { linkBetween } from '../../../../../automation/data/link.ts';
import { describeDrift, schemaDrift } from '../../../../../automation/data/replication/schema-drift.ts';
import { startSync, syncStatus, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { after } from '../faults.ts';
import { expand, schemaV1, value } from '../rig.ts';
import { MemoryRouter } from '../traffic.ts';
import { CutoverScene } from './scene.ts';

const schema = `${schemaV1}
  CREATE FUNCTION price(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
  CREATE TABLE m (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
  CREATE TABLE m_1 PARTITION OF m FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
  CREATE TABLE queue (id int PRIMARY KEY, what text); CREATE MATERIALIZED VIEW totals AS SELECT sum(balance) AS total FROM accounts;
  INSERT INTO m VALUES (1, '2026-01-01'); INSERT INTO queue VALUES (1, 'one');`;
const replaced = `CREATE OR REPLACE FUNCTION price(int) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1'`;

describe('a schema that changes around a cutover', () => {
  const scene = new CutoverScene({ holdMs: 4000, drainMs: 2000 });
  const forward = () => linkBetween(scene.rig.blue, scene.rig.green);
  const wayBack = () => linkBetween(scene.rig.green, scene.rig.blue);
  const blue = (sql: string) => scene.rig.run(scene.rig.blue, sql);
  const green = (sql: string) => scene.rig.run(scene.rig.green, sql);
  const admin = (sql: string, side: 'blue' | 'green' = 'blue') =>
    withClient(scene.rig[side].access, 'admin', (client) => client.query(sql));

  const following = async (more: () => Promise<unknown> = () => Promise.resolve()) => {
    await scene.rig.fresh(schema);
    await more();
    scene.router = new MemoryRouter();
    await expand(scene.rig);
    await waitForSync(await startSync(scene.rig.blue, scene.rig.green), { timeoutMs: 30_000 });
  };
  const aborted = async (): Promise<CutoverAborted> => {
    const error = await scene.forward().then(
      () => undefined,
      (e: unknown) => e,
    );
    expect(error).to.be.instanceOf(CutoverAborted);
    expect((error as CutoverAborted).undone, (error as CutoverAborted).message).to.equal(true);
    expect(scene.router.held).to.equal(false);
    const { live, findings } = await scene.state();
    expect({ live, findings }).to.deep.equal({ live: 'blue', findings: [] });
    return error as CutoverAborted;
  };

  for (const [id, what, sql, says] of [
    ['C1', 'a function was replaced', replaced, 'function public.price(integer) was replaced on blue'],
    ['C5', 'a partition was dropped', 'DROP TABLE m_1', 'table public.m_1 was dropped on blue'],
    ['C5', 'a partition was detached', 'ALTER TABLE m DETACH PARTITION m_1', 'table public.m_1 was changed on blue'],
    [
      'C2',
      'a right was given',
      'GRANT TRUNCATE ON queue TO app_writer',
      'grant ON TABLE public.queue TO app_writer was changed on blue',
    ],
  ] as const) {
    it(`is refused before any write is held, as ${what} [${id}]`, async () => {
      await following();
      await blue(sql);
      const error = await aborted();
      expect(error.message).to.include('step prepare').and.to.include(says);
      expect(scene.router.holds).to.equal(0);
    });
  }

  for (const [what, sql, says] of [
    ['a function is replaced', replaced, 'function public.price(integer) was replaced on blue'],
    ['a column is added', 'ALTER TABLE queue ADD note text', 'column public.queue.note was added on blue'],
    ['a function is dropped', 'DROP FUNCTION price(int)', 'function public.price(integer) was dropped on blue'],
    [
      'a role gets a setting',
      `ALTER ROLE owner SET work_mem = '8MB'`,
      'setting work_mem of role owner was added on blue',
    ],
  ] as const) {
    it(`aborts it with the writes released, if ${what} while they are held [C7]`, async () => {
      await following();
      after(scene.router, 'hold', () => blue(sql));
      const error = await aborted();
      expect(error.message).to.include('step carry-over').and.to.include(says);
      expect(scene.router.holds).to.equal(1);
      await admin(`ALTER ROLE owner RESET work_mem`);
    });
  }

  it('is a problem if a function is replaced between that check and the flip [C7]', async () => {
    await following();
    scene.router.onApply = async (_, apply) => {
      await blue(replaced);
      apply();
    };
    const { problems } = await scene.forward();
    expect(problems.join()).to.include('function public.price(integer) was replaced on blue, while the writes moved');
  });

  it('is not held up by what changes no schema while writes are held [C7]', async () => {
    await following();
    after(scene.router, 'hold', async () => {
      await blue(
        `CREATE TEMP TABLE mine (id serial PRIMARY KEY, what text DEFAULT 'x'); TRUNCATE queue; ANALYZE; REINDEX TABLE accounts; REFRESH MATERIALIZED VIEW totals`,
      );
      await admin('VACUUM (FREEZE, ANALYZE)');
    });
    const { problems, tables } = await scene.forward();
    expect(problems).to.deep.equal([]);
    expect(tables.filter(({ equal }) => !equal)).to.deep.equal([]);
    expect((await scene.back()).problems).to.deep.equal([]);
  });

  for (const [what, ddl, rows, says] of [
    [
      'a value of an enum',
      `ALTER TYPE mood ADD VALUE 'sad'`,
      `INSERT INTO accounts (email, mood) VALUES ('sad@example.invalid', 'sad')`,
      'type public.mood was changed on green',
    ],
    [
      'a looser rule',
      'ALTER TABLE entries ALTER amount DROP NOT NULL',
      `INSERT INTO entries (key, account) VALUES ('loose', 1)`,
      'column public.entries.amount was changed on green',
    ],
  ] as const) {
    it(`says at once that ${what} of the new side has ended the way back [C4]`, async () => {
      await following();
      expect((await scene.forward()).problems).to.deep.equal([]);
      await green(ddl);
      expect((await syncStatus(wayBack())).problem).to.include(says);
      await green(rows);
      const steps: string[] = [];
      const stopped = await scene.back({ onStep: (step) => steps.push(step) }).catch((error: Error) => error.message);
      expect(stopped).to.include(says).and.not.to.include('still behind');
      expect(steps).to.deep.equal([]);
      expect(scene.router.split.live).to.equal('green');
    });
  }

  it('goes back with a partition of the new side, which has stopped the way back [C4]', async () => {
    await following();
    expect((await scene.forward()).problems).to.deep.equal([]);
    await green(`CREATE TABLE m_2 PARTITION OF m FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')`);
    await green(`INSERT INTO m VALUES (2, '2026-02-01')`);
    const { problems, tables } = await scene.back();
    expect(problems).to.deep.equal([]);
    expect(tables.filter(({ equal }) => !equal)).to.deep.equal([]);
    expect(await value(scene.rig.blue, 'SELECT count(*)::int FROM m_2')).to.equal(1);
  });

  it('says what does not hurt the way back, and goes back [C4]', async () => {
    await following();
    expect((await scene.forward()).problems).to.deep.equal([]);
    await green(`${replaced}; CREATE INDEX by_amount ON entries (amount)`);
    expect((await syncStatus(wayBack())).problem).to.equal(undefined);
    expect(describeDrift(await schemaDrift(wayBack()))).to.equal(
      'function public.price(integer) was replaced on green, index public.by_amount was added on green',
    );
    const { problems, tables } = await scene.back();
    expect(problems).to.deep.equal([]);
    expect(tables.filter(({ equal }) => !equal)).to.deep.equal([]);
  });

  it('keeps event triggers where writes are: on one side at a time, there and back [C6]', async () => {
    await following(async () => {
      await blue(
        `CREATE TABLE ddl_log (id serial PRIMARY KEY, tag text NOT NULL);
         CREATE FUNCTION log_ddl() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN INSERT INTO public.ddl_log (tag) VALUES (tg_tag); END'`,
      );
      await admin('CREATE EVENT TRIGGER log_ddl ON ddl_command_end EXECUTE FUNCTION log_ddl()');
    });
    const state = (side: 'blue' | 'green') =>
      value<string>(scene.rig[side], 'SELECT evtenabled::text FROM pg_event_trigger');
    expect(await state('green')).to.equal('D');
    const there = await scene.forward();
    expect(there.problems).to.deep.equal([]);
    expect(there.tables.filter(({ equal }) => !equal)).to.deep.equal([]);
    expect([await state('blue'), await state('green')]).to.deep.equal(['D', 'O']);
    await green('CREATE INDEX ON queue (what)');
    const returned = await scene.back();
    expect(returned.problems).to.deep.equal([]);
    expect(returned.tables.filter(({ equal }) => !equal)).to.deep.equal([]);
    expect([await state('blue'), await state('green')]).to.deep.equal(['O', 'D']);
    expect(await value(scene.rig.blue, `SELECT count(*)::int FROM ddl_log WHERE tag = 'CREATE INDEX'`)).to.equal(1);
    await admin('DROP EVENT TRIGGER log_ddl');
  });

  for (const sql of ['TRUNCATE accounts CASCADE', 'TRUNCATE queue, accounts RESTART IDENTITY CASCADE']) {
    it(`says before the hold that a table of the new version refers to one that was emptied: ${sql} [N7]`, async () => {
      await scene.rig.fresh(schema);
      scene.router = new MemoryRouter();
      await expand(
        scene.rig,
        'CREATE TABLE badges (id int PRIMARY KEY, account bigint REFERENCES accounts); INSERT INTO badges VALUES (1, NULL)',
      );
      await waitForSync(await startSync(scene.rig.blue, scene.rig.green), { timeoutMs: 30_000 });
      await blue(sql);
      const says =
        'cannot truncate a table referenced in a foreign key constraint (Table "badges" references "accounts".)';
      const compared = await compareFollowing(forward(), 'left').catch((error: Error) => error.message);
      expect(compared).to.include(says);
      expect((await aborted()).message).to.include(says);
      expect(scene.router.holds).to.equal(0);
    });
  }
});
