import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { escapeLiteral } from 'pg';
import { close, connect, withClient } from '../../../../../automation/data/connect.ts';
import { linkBetween } from '../../../../../automation/data/link.ts';
import { preconditions, unmetPreconditions } from '../../../../../automation/data/publication/preconditions.ts';
import {
  followSync,
  startSync,
  startSyncByClone,
  waitForSync,
} from '../../../../../automation/data/replication/sync.ts';
import { startCluster, stopCluster } from '../../../../../infra/local/postgres/cluster.ts';
import { CutoverScene } from '../cutover/scene.ts';
import { schemaV1, type Rig } from '../rig.ts';
import { MemoryRouter } from '../traffic.ts';
import { refused } from '../writer.ts';

type Side = Rig['blue'];

describe('what the live database cannot take', () => {
  const scene = new CutoverScene({ holdMs: 2000, drainMs: 300 });
  const admin = (side: Side, sql: string) =>
    withClient(side.access, 'admin', async (client) => void (await client.query(sql)));
  const link = () => linkBetween(scene.rig.blue, scene.rig.green);
  const found = async (severity: 'error' | 'warning', openTransactionSeconds?: number) =>
    (
      await preconditions(
        scene.rig.blue.access,
        undefined,
        openTransactionSeconds === undefined ? {} : { openTransactionSeconds },
      )
    )
      .filter((f) => f.severity === severity)
      .map((f) => `${f.found}; ${f.cure}`);

  /** Restarts a server with other settings of `ALTER SYSTEM`; null resets one. */
  async function restart(side: Side, settings: Record<string, string | null>): Promise<void> {
    for (const [name, to] of Object.entries(settings))
      await withClient(side.access, 'admin', (client) =>
        client.query(to === null ? `ALTER SYSTEM RESET ${name}` : `ALTER SYSTEM SET ${name} = '${to}'`),
      );
    await stopCluster(scene.rig.specs[side.colour]);
    await startCluster(scene.rig.specs[side.colour]);
  }

  describe('transactions that do not end', () => {
    before(async () => {
      for (const side of [scene.rig.blue, scene.rig.green]) await restart(side, { max_prepared_transactions: '5' });
    });
    const prepare = (gid: string) =>
      withClient(scene.rig.blue.access, 'owner', (client) =>
        client.query(`BEGIN; UPDATE counters SET n = n + 1 WHERE id = 1; PREPARE TRANSACTION ${escapeLiteral(gid)}`),
      );

    it('a prepared one is named with its owner and its age, before anything is published; a young one passes, as it ends in a moment [N6]', async () => {
      const { rig } = scene;
      await rig.fresh(schemaV1);
      await prepare(`o'clock`);
      expect(await unmetPreconditions(rig.blue.access, true)).to.deep.equal([]);
      expect(await found('error')).to.deep.equal([]);
      while ((await found('error')).length === 0) await sleep(500);
      const [only, ...others] = await found('error');
      expect(others).to.deep.equal([]);
      expect(only).to.match(
        /^prepared transaction "o'clock" of owner for 1\d s, RowExclusiveLock on public\.counters: .*more than 10 s.*in database app: .*ROLLBACK PREPARED 'o''clock'$/,
      );
      expect((await refused(startSync(rig.blue, rig.green))).todo).to.include(
        `prepared transaction "o'clock" of owner`,
      );
      await admin(rig.blue, `ROLLBACK PREPARED 'o''clock'`);
      expect(await found('error')).to.deep.equal([]);
    });

    it('one of another database as well: the slot waits for it [N6]', async () => {
      const { rig } = scene;
      await withClient(
        rig.blue.access,
        'admin',
        async (client) =>
          void (await client.query(`BEGIN; CREATE TABLE there (id int); PREPARE TRANSACTION 'elsewhere'`)),
        { database: 'postgres' },
      );
      expect((await found('error', 0)).join()).to.include(
        'prepared transaction "elsewhere" of admin in database postgres',
      );
      await withClient(rig.blue.access, 'admin', (client) => client.query(`ROLLBACK PREPARED 'elsewhere'`), {
        database: 'postgres',
      });
    });

    it('one that begins after the preconditions is named by the slot that waits for it [N6]', async () => {
      const { rig } = scene;
      await rig.fresh(schemaV1);
      const writer = await connect(rig.blue.access, 'app');
      const clone = async (cutOff: () => Promise<string>): Promise<void> => {
        await prepare('late');
        await writer.query('BEGIN; UPDATE counters SET n = 0 WHERE id = 2');
        const slot = cutOff();
        await sleep(500);
        // As the timeout would, which takes minutes.
        await admin(
          rig.blue,
          `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_create_logical%' AND pid <> pg_backend_pid()`,
        );
        await slot;
      };
      const error = await refused(startSyncByClone(rig.blue, rig.green, clone));
      expect(error.message)
        .to.include('prepared transaction "late" of owner')
        .and.match(/process \d+ of app .*idle in transaction/);
      await close(writer);
      await admin(rig.blue, `ROLLBACK PREPARED 'late'`);
    });

    it('neither a prepared one nor an old one lets users wait: the cutover ends before the hold, with their names [N6]', async () => {
      const { rig } = scene;
      await rig.fresh(schemaV1);
      scene.router = new MemoryRouter();
      await rig.seed();
      await restart(rig.green, { max_prepared_transactions: '5' });
      await followSync(link());
      await waitForSync(link(), { timeoutMs: 30_000 });
      const writer = await connect(rig.blue.access, 'app');
      await writer.query('BEGIN; UPDATE counters SET n = 0 WHERE id = 2');
      await prepare('open');
      await sleep(400);
      const error = await refused(scene.forward());
      expect(error.message)
        .to.match(/process \d+ of app.*, idle in transaction for \d+ (ms|s)/)
        .and.include('prepared transaction "open" of owner');
      expect(scene.router.holds).to.equal(0);
      await writer.query('COMMIT');
      await close(writer);
      await admin(rig.blue, `COMMIT PREPARED 'open'`);
      expect((await scene.forward()).problems).to.deep.equal([]);
      // On the way back sessions are ended, and a prepared transaction cannot be.
      await withClient(rig.green.access, 'owner', (client) =>
        client.query(`BEGIN; UPDATE counters SET n = 5 WHERE id = 1; PREPARE TRANSACTION 'back'`),
      );
      const held = scene.router.holds;
      expect((await refused(scene.back())).message).to.include('prepared transaction "back" of owner');
      expect(scene.router.holds).to.equal(held);
      await admin(rig.green, `COMMIT PREPARED 'back'`);
      const back = await scene.back();
      expect([back.problems, back.equal]).to.deep.equal([[], true]);
    });
  });

  describe('locks', () => {
    after(() => restart(scene.rig.blue, { max_locks_per_transaction: null }));

    it('that the fence would not get are a precondition, with the figure that is enough [N8]', async () => {
      const { rig } = scene;
      await rig.fresh(`CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);
        DO $$ BEGIN FOR i IN 1..900 LOOP EXECUTE format('CREATE TABLE p_%s PARTITION OF p FOR VALUES FROM (%s) TO (%s)', i, i, i + 1); END LOOP; END $$`);
      expect(await found('error')).to.deep.equal([]);
      await restart(rig.blue, { max_locks_per_transaction: '10' });
      const [only, ...others] = await found('error');
      expect(others).to.deep.equal([]);
      const [, enough] =
        /901 tables, partitions and sequences are locked .* set max_locks_per_transaction = (\d+) \(it is 10\)/.exec(
          only ?? '',
        ) ?? [];
      await restart(rig.blue, { max_locks_per_transaction: enough ?? '' });
      expect(await found('error')).to.deep.equal([]);
    });
  });

  describe('tables without a key', () => {
    const filled = (count: number) =>
      `CREATE TABLE log (at int, note text); INSERT INTO log SELECT i, 'x' FROM generate_series(1, ${count}) i; ALTER TABLE log REPLICA IDENTITY FULL;`;

    it('of many rows are a warning with the figure, and of few are none [N8]', async () => {
      await scene.rig.fresh(
        `${filled(200_000)} CREATE TABLE few (a int); INSERT INTO few SELECT generate_series(1, 100); ALTER TABLE few REPLICA IDENTITY FULL; ANALYZE`,
      );
      expect(await found('error')).to.deep.equal([]);
      const [only, ...others] = await found('warning');
      expect(others).to.deep.equal([]);
      expect(only).to.include('table public.log has no key, and about 200000 rows').and.include('17 s for 500 of them');
    });

    it('are found without statistics, and with a partition of many rows [N8]', async () => {
      await scene.rig
        .fresh(`CREATE TABLE parted (day int, note text) PARTITION BY LIST (day); CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1); ALTER TABLE parted REPLICA IDENTITY FULL; ALTER TABLE parted_1 REPLICA IDENTITY FULL;
        INSERT INTO parted SELECT 1, repeat('x', 60) FROM generate_series(1, 50000)`);
      expect((await found('warning')).join()).to.include('table public.parted_1 has no key');
    });

    it('of which more rows change than the follower could read are an error [N8]', async () => {
      const { rig } = scene;
      await rig.fresh(`${filled(200_000)} ANALYZE`);
      await admin(rig.blue, 'SELECT pg_stat_reset()');
      await rig.run(rig.blue, `UPDATE log SET note = 'y' WHERE at <= 20000`);
      let errors: string[] = [];
      for (let i = 0; i < 50 && errors.length === 0; i++) {
        await sleep(100);
        errors = await found('error');
      }
      expect(errors.join()).to.match(/table public.log has no key.*the application changes [\d.e+]+ a second/);
    });
  });
});
