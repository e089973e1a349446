import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { cutover } from '../../../../../automation/data/cutover/cutover.ts';
import type { CutoverResult } from '../../../../../automation/data/cutover/types.ts';
import { rows, withClient } from '../../../../../automation/data/connect.ts';
import { linkBetween } from '../../../../../automation/data/link.ts';
import { Rest, waitsInSlot, type Unfit } from '../../../../../automation/data/replication/rest.ts';
import { startSync, syncStatus, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { lookAfter, noMending, type Look } from '../../../../../automation/data/replication/way-back.ts';
import { createRig, expand, value, type Rig } from '../rig.ts';
import { MemoryRouter } from '../traffic.ts';

/** A way back that meets a change which the old schema does not hold. */
describe('a way back that stops', () => {
  let rig: Rig;
  let router: MemoryRouter;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());

  const settings = { holdMs: 4000, drainMs: 1000 };

  /** Green live with its expand migration, blue following. */
  async function live(schema: string, migration: string): Promise<void> {
    await rig.fresh(schema);
    router = new MemoryRouter();
    await expand(rig, migration);
    await waitForSync(await startSync(rig.blue, rig.green), { timeoutMs: 30_000 });
    const moved = await cutover({ router, from: rig.blue, to: rig.green, direction: 'forward', settings });
    expect(moved.problems).to.deep.equal([]);
  }
  const link = () => linkBetween(rig.green, rig.blue);
  const back = (rest?: 'apply'): Promise<CutoverResult> =>
    cutover({ router, from: rig.green, to: rig.blue, direction: 'rollback', settings, rest });

  async function until(wanted: (look: Look) => boolean): Promise<Look> {
    const mending = noMending();
    const deadline = Date.now() + 30_000;
    for (;;) {
      const look = await lookAfter(link(), mending);
      if (wanted(look)) return look;
      if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(look)}`);
      await sleep(50);
    }
  }
  const broken = () => until(({ kind }) => kind === 'broken');
  async function caughtUp(): Promise<void> {
    await until(({ kind }) => kind === 'follows');
    while ((await syncStatus(link())).lagBytes > 0) await sleep(20);
  }
  const foreseen = (): Promise<Unfit[]> =>
    withClient(rig.green.access, 'admin', (source) =>
      withClient(rig.blue.access, 'admin', async (target) => (await Rest.open(link(), source, target)).foresee()),
    );
  const all = (sql: string) =>
    withClient(rig.blue.access, 'owner', (client) => rows<Record<string, unknown>>(client, sql));

  describe('at a partition that only the live side has [C4]', () => {
    const schema = `CREATE TABLE m (at int NOT NULL, v text, PRIMARY KEY (at)) PARTITION BY RANGE (at);
      CREATE TABLE m_1 PARTITION OF m FOR VALUES FROM (0) TO (10); INSERT INTO m VALUES (1, 'old')`;

    it('is mended: the partition is created, and the row arrives', async () => {
      await live(schema, 'ALTER TABLE m ADD COLUMN w int');
      await rig.run(
        rig.green,
        `CREATE TABLE m_2 PARTITION OF m FOR VALUES FROM (10) TO (20); INSERT INTO m VALUES (11, 'new', 5)`,
      );
      const look = await until(({ kind }) => kind === 'mended');
      expect(look).to.have.property('what', 'the partitions public.m_2 were created on blue');
      await caughtUp();
      expect(await value(rig.blue, 'SELECT v FROM m_2')).to.equal('new');
      const returned = await back();
      expect(returned.problems).to.deep.equal([]);
      expect(returned.equal).to.equal(true);
    });

    it('is mended where the partition is divided itself, by a list, or is the default one', async () => {
      await live(
        `CREATE TABLE p (k text, at int, PRIMARY KEY (k, at)) PARTITION BY LIST (k);
         CREATE TABLE "P 'a'" PARTITION OF p FOR VALUES IN ('a'); INSERT INTO p VALUES ('a', 1)`,
        'ALTER TABLE p ADD COLUMN w int DEFAULT 4',
      );
      await rig.run(
        rig.green,
        `CREATE TABLE "P 'b'" PARTITION OF p FOR VALUES IN ('b', 'it''s') PARTITION BY RANGE (at);
         CREATE TABLE pb_1 PARTITION OF "P 'b'" FOR VALUES FROM (0) TO (5);
         CREATE TABLE p_rest PARTITION OF p DEFAULT; INSERT INTO p VALUES ('b', 1), ('else', 2)`,
      );
      await until(({ kind }) => kind === 'mended');
      await caughtUp();
      expect(await value(rig.blue, 'SELECT count(*)::int FROM p')).to.equal(3);
      expect(await value(rig.blue, 'SELECT count(*)::int FROM pb_1')).to.equal(1);
    });

    it('stays broken where the partition cannot be made, and says so within seconds', async () => {
      await live(schema, 'ALTER TABLE m ADD COLUMN w int');
      await rig.run(rig.blue, 'CREATE TABLE m_x PARTITION OF m FOR VALUES FROM (10) TO (12)');
      const started = performance.now();
      await rig.run(
        rig.green,
        `CREATE TABLE m_2 PARTITION OF m FOR VALUES FROM (10) TO (20); INSERT INTO m VALUES (15, 'new', 5)`,
      );
      await broken();
      expect(performance.now() - started).to.be.below(10_000);
    });
  });

  describe('at a row that does not fit', () => {
    const schema = `CREATE TYPE mood AS ENUM ('calm');
      CREATE TABLE codes (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code varchar(20) NOT NULL, mood mood DEFAULT 'calm', big text,
        CHECK (code <> ''));
      CREATE VIEW shown AS SELECT code FROM codes;
      CREATE TABLE lines (a int, b int, n int, PRIMARY KEY (a, b));
      CREATE TABLE notes (text text); ALTER TABLE notes REPLICA IDENTITY FULL;
      INSERT INTO codes (code, big) SELECT 'c' || i, string_agg(md5(i::text || j), '') FROM generate_series(1, 3) i, generate_series(1, 300) j GROUP BY i ORDER BY i;
      INSERT INTO lines SELECT i, i, 0 FROM generate_series(1, 50) i`;
    /** What nobody repeats on the old side: the type of a column that a view needs, and what is loosened by hand afterwards. */
    const loose = async (): Promise<void> => {
      await live(
        schema,
        `DROP VIEW shown; ALTER TABLE codes ALTER COLUMN code TYPE varchar(50), ADD COLUMN extra int DEFAULT 1; CREATE VIEW shown AS SELECT code FROM codes`,
      );
      await rig.run(rig.green, 'ALTER TABLE codes DROP CONSTRAINT codes_code_check, ALTER COLUMN code DROP NOT NULL');
    };
    const forty = 'x'.repeat(40);

    it('says PostgreSQL’s reason at once, foresees it, and goes back with everything else [D1]', async () => {
      await loose();
      await rig.run(rig.green, `INSERT INTO codes (code) VALUES ('${forty}')`);
      await broken();
      await rig.run(
        rig.green,
        `UPDATE codes SET code = 'changed' WHERE id = 1; DELETE FROM codes WHERE id = 2;
         INSERT INTO lines VALUES (60, 1, 7); UPDATE lines SET n = n + 1; UPDATE lines SET a = 99 WHERE a = 3; INSERT INTO codes (code) VALUES ('fits')`,
      );
      const started = performance.now();
      const refused = await back().catch((error: Error) => error.message);
      expect(refused).to.match(/blue could not apply a change|the replication to blue has stopped/);
      expect(performance.now() - started).to.be.below(10_000);
      expect(router.split.live).to.equal('green');
      const unfit = await foreseen();
      expect(unfit).to.have.length(1);
      expect(unfit[0]).to.deep.include({ table: 'public.codes', key: 'id = 4' });
      expect(unfit[0]?.reason).to.equal('value too long for type character varying(20)');
      expect(await all('SELECT id FROM codes ORDER BY id')).to.deep.equal([{ id: 1 }, { id: 2 }, { id: 3 }]);

      const returned = await back('apply');
      expect(returned.problems).to.deep.equal([]);
      expect(router.split.live).to.equal('blue');
      expect(returned.tables.filter(({ equal }) => !equal).map(({ table }) => table)).to.deep.equal(['public.codes']);
      expect(await all('SELECT id, code FROM codes ORDER BY id')).to.deep.equal([
        { id: 1, code: 'changed' },
        { id: 3, code: 'c3' },
        { id: 5, code: 'fits' },
      ]);
      expect(await value(rig.blue, 'SELECT length(big) FROM codes WHERE id = 1')).to.equal(9600);
      expect(await all('SELECT a, n FROM lines WHERE a IN (60, 99, 3) ORDER BY a')).to.deep.equal([
        { a: 60, n: 8 },
        { a: 99, n: 1 },
      ]);
    });

    it('takes a new enum value, a null, an empty text for what they are: one row each [D2]', async () => {
      await loose();
      await rig.run(rig.green, `ALTER TYPE mood ADD VALUE 'odd'`);
      await rig.run(
        rig.green,
        `INSERT INTO codes (code, mood) VALUES ('odd', 'odd'); INSERT INTO codes (code) VALUES (NULL), (''); UPDATE codes SET code = 'good' WHERE id = 3`,
      );
      await broken();
      expect((await foreseen()).map(({ key, reason }) => `${key}: ${reason}`)).to.deep.equal([
        'id = 4: invalid input value for enum public.mood',
        'id = 5: null value in column "code" of relation "codes" violates not-null constraint',
        'id = 6: new row for relation "codes" violates check constraint "codes_code_check"',
      ]);
      const returned = await back('apply');
      expect(returned.problems).to.deep.equal([]);
      expect(await all('SELECT id, code FROM codes WHERE id >= 3 ORDER BY id')).to.deep.equal([
        { id: 3, code: 'good' },
      ]);
    });

    it('does not leave out a row that was made to fit afterwards, nor one that was deleted', async () => {
      await loose();
      await rig.run(rig.green, `INSERT INTO codes (code) VALUES ('${forty}'), ('${forty}')`);
      await rig.run(rig.green, `UPDATE codes SET code = 'short' WHERE id = 4; DELETE FROM codes WHERE id = 5`);
      await broken();
      expect(await foreseen()).to.deep.equal([]);
      expect((await back('apply')).equal).to.equal(true);
      expect(await value(rig.blue, 'SELECT code FROM codes WHERE id = 4')).to.equal('short');
    });

    it('takes a column that was added to the live side for no loss', async () => {
      await loose();
      await rig.run(rig.green, 'ALTER TABLE lines ADD COLUMN note text');
      await rig.run(rig.green, `INSERT INTO lines VALUES (70, 1, 1, 'noted'); UPDATE lines SET note = 'n' WHERE a = 1`);
      await broken();
      expect(await foreseen()).to.deep.equal([]);
      expect((await back('apply')).equal).to.equal(true);
    });

    it('applies what waits again after it was interrupted, with the same result', async () => {
      await loose();
      await rig.run(
        rig.green,
        `INSERT INTO codes (code) VALUES ('${forty}'), ('fits'); UPDATE lines SET n = n + 1; INSERT INTO notes VALUES ('once')`,
      );
      await broken();
      const apply = () =>
        withClient(rig.green.access, 'admin', (source) =>
          withClient(rig.blue.access, 'admin', async (target) => {
            const rest = await Rest.open(link(), source, target);
            // Without the advance of the slot: as if the program had ended between the two.
            const kept = source.query.bind(source) as (...args: unknown[]) => Promise<unknown>;
            source.query = ((...args: unknown[]) =>
              String(args[0]).includes('slot_advance')
                ? Promise.reject(new Error('killed'))
                : kept(...args)) as typeof source.query;
            return rest.apply().catch((error: Error) => error.message);
          }),
        );
      expect(await apply()).to.equal('killed');
      expect(await apply()).to.equal('killed');
      const returned = await back('apply');
      const unequal = returned.tables.filter(({ equal }) => !equal).map(({ table }) => table);
      expect(unequal).to.deep.equal(['public.codes']);
      expect(await value(rig.blue, `SELECT count(*)::int FROM codes`)).to.equal(4);
    });

    it('is not applied by hand while a subscription runs', async () => {
      await loose();
      await withClient(rig.green.access, 'admin', (source) =>
        withClient(rig.blue.access, 'admin', async (target) => {
          expect(await waitsInSlot(link(), source, target)).to.equal(false);
        }),
      );
    });
  });
});
