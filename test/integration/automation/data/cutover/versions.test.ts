import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { compareFollowing } from '../../../../../automation/data/comparison/following.ts';
import { rows, withClient } from '../../../../../automation/data/connect.ts';
import { beginSchema } from '../../../../../automation/data/copying/schema.ts';
import type { CutoverResult } from '../../../../../automation/data/cutover/types.ts';
import { createSlot, linkBetween } from '../../../../../automation/data/link.ts';
import { createSubscription, removeLink } from '../../../../../automation/data/replication/subscription.ts';
import { followSync, startSync, syncStatus, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { resetDatabase } from '../../../../../automation/data/schema.ts';
import { OperationError } from '../../../../../infra/lib/errors.ts';
import { migrate, schemaV1, value } from '../rig.ts';
import { MemoryRouter } from '../traffic.ts';
import { CutoverScene } from './scene.ts';

const problemsOf = (r: CutoverResult) => [
  ...r.problems,
  ...r.tables.filter((t) => !t.equal).map((t) => `${t.table}: ${t.detail}`),
];

/** What versions write, compare or apply differently. */
const many = `
  CREATE TABLE kinds (id int PRIMARY KEY, f float8, n numeric, i interval, t timestamptz, b bytea, j jsonb, a text[], r int4range, m int4multirange, x xml);
  INSERT INTO kinds VALUES (1, 0.1 + 0.2, 'NaN', '1 mon -2 days 03:04:05.678', '1999-12-31 23:59:59.999999+05:45', '\\x00ff', '{"b": 1, "a": [1e400]}', '{a,NULL,"x y"}', '[1,5)', '{[1,2),[5,6)}', '<a/>'),
    (2, 'Infinity', 1e-30, 'P1Y', 'infinity', '', 'null', '{}', 'empty', '{}', NULL);
  CREATE TABLE guarded (id int PRIMARY KEY, whose text);
  INSERT INTO guarded SELECT i, 'app' FROM generate_series(1, 20) i;
  ALTER TABLE guarded ENABLE ROW LEVEL SECURITY; ALTER TABLE guarded FORCE ROW LEVEL SECURITY;
  CREATE POLICY mine ON guarded USING (whose = current_setting('my.name', true));`;

describe('a major upgrade from PostgreSQL 15 to 17', () => {
  const scene = new CutoverScene({ holdMs: 5000, drainMs: 1000 }, { blue: 15, green: 17 });

  it('loses nothing under writes, there and back, and can be tried again', async () => {
    const { rig } = scene;
    await rig.fresh(schemaV1 + many);
    scene.router = new MemoryRouter();
    await scene.write(100, undefined, 20);
    for (const round of [1, 2]) {
      await resetDatabase(rig.green.access, 'green', { like: rig.blue.access });
      const rest = await beginSchema(rig.blue.access, rig.green.access);
      const link = await startSync(rig.blue, rig.green, { afterRows: rest.finish }).finally(() => rest.dispose());
      await migrate(rig);
      await waitForSync(link, { timeoutMs: 30_000 });
      await withClient(rig.blue.access, 'admin', (client) =>
        client.query(`UPDATE guarded SET whose = 'round ${round}' WHERE id < 10; UPDATE kinds SET f = f * 3`),
      );
      await scene.load.more(20);

      const there = await scene.forward();
      expect(problemsOf(there), `forward ${round}`).to.deep.equal([]);
      await scene.load.more(50);
      await withClient(rig.green.access, 'admin', (client) =>
        client.query(
          `UPDATE guarded SET whose = 'back ${round}' WHERE id > 10; DELETE FROM guarded WHERE id = ${round}`,
        ),
      );
      const back = await scene.back();
      expect(problemsOf(back), `back ${round}`).to.deep.equal([]);
      await scene.load.more(20);
      expect(
        await withClient(rig.blue.access, 'admin', (client) =>
          rows(client, `SELECT count(*)::int AS n FROM guarded WHERE whose = 'back ${round}'`),
        ),
      ).to.deep.equal([{ n: 10 }]);
    }
    await scene.expectNothingLost(20);
  });

  it('is never made by a physical copy', async () => {
    const { rig } = scene;
    await rig.fresh(schemaV1);
    const error = await rig.seed().then(
      () => undefined,
      (e: unknown) => e,
    );
    expect(error).to.be.instanceOf(OperationError);
    expect((error as OperationError).found).to.equal('it is PostgreSQL 17, and the other one 15: their files differ');
    expect(await value(rig.green, 'SELECT 1')).to.equal(1);
    expect((await syncStatus(linkBetween(rig.blue, rig.green))).state).to.equal('none');
  });
});

describe('releases on PostgreSQL 17', () => {
  const scene = new CutoverScene({ holdMs: 5000, drainMs: 1000 }, { blue: 17, green: 17 });

  it('loses nothing by a physical copy, there and back, whatever timeouts the owner has set [H1]', async () => {
    const { rig } = scene;
    await rig.fresh(schemaV1 + many);
    await withClient(rig.blue.access, 'admin', (client) =>
      client.query(`ALTER DATABASE app SET transaction_timeout = '300ms'`),
    );
    scene.router = new MemoryRouter();
    await scene.write(100, undefined, 20);
    const link = await rig.seed();
    await migrate(rig);
    await followSync(link);
    await waitForSync(link, { timeoutMs: 30_000 });
    expect((await compareFollowing(link, 'left')).filter(({ equal }) => !equal)).to.deep.equal([]);
    const options = `SELECT suborigin, subrunasowner, substream FROM pg_subscription`;
    expect(await withClient(rig.green.access, 'admin', (client) => rows(client, options))).to.deep.equal([
      { suborigin: 'none', subrunasowner: true, substream: 'f' },
    ]);
    expect(problemsOf(await scene.forward())).to.deep.equal([]);
    await scene.load.more(50);
    await withClient(rig.green.access, 'admin', (client) => client.query(`UPDATE guarded SET whose = 'new'`));
    expect(problemsOf(await scene.back())).to.deep.equal([]);
    expect(
      await withClient(rig.blue.access, 'admin', (client) =>
        rows(client, `SELECT count(*)::int AS n FROM guarded WHERE whose = 'new'`),
      ),
    ).to.deep.equal([{ n: 20 }]);
    await scene.expectNothingLost(20);
  });

  it('is copied by rows, whatever timeouts the owner has set [H1]', async () => {
    const { rig } = scene;
    await rig.fresh(`${schemaV1} CREATE TABLE big (id int PRIMARY KEY, text text);
      INSERT INTO big SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 60000) i`);
    for (const name of ['transaction_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout'])
      await withClient(rig.blue.access, 'admin', (client) => client.query(`ALTER DATABASE app SET ${name} = '100ms'`));
    await resetDatabase(rig.green.access, 'green', { like: rig.blue.access });
    const rest = await beginSchema(rig.blue.access, rig.green.access);
    const link = await startSync(rig.blue, rig.green, { afterRows: rest.finish }).finally(() => rest.dispose());
    await waitForSync(link, { timeoutMs: 30_000 });
    expect((await compareFollowing(link, 'left')).filter(({ equal }) => !equal)).to.deep.equal([]);
  });

  it('sends nothing back that came by the replication, even with both directions on [N5]', async () => {
    const { rig } = scene;
    await scene.following();
    const back = linkBetween(rig.green, rig.blue);
    await withClient(rig.blue.access, 'admin', (blue) =>
      withClient(rig.green.access, 'admin', async (green) => {
        await green.query(`CREATE PUBLICATION ${back.name} FOR TABLE counters`);
        await createSlot(green, back.name, 5_000);
        await createSubscription(green, blue, back, { enabled: false });
        // As a fault would have it: `enableSubscription` refuses that.
        await blue.query(`ALTER SUBSCRIPTION ${back.name} ENABLE`);
        for (let i = 0; i < 300; i++) await blue.query('UPDATE counters SET n = n + 1 WHERE id = 1');
        await waitForSync(linkBetween(rig.blue, rig.green), { timeoutMs: 20_000 });
        await green.query('UPDATE counters SET n = -1 WHERE id = 2');
        const arrived = 'SELECT n::int FROM counters WHERE id = 2';
        while ((await rows<{ n: number }>(blue, arrived))[0]?.n !== -1) await sleep(20);
        for (const side of [blue, green])
          expect(await rows(side, 'SELECT n::int FROM counters WHERE id = 1')).to.deep.equal([{ n: 300 }]);
        await removeLink(back, green, blue);
      }),
    );
  });
});
