import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { busySessions, lockHolders, nameBlockers, openWriters } from '../../../../automation/data/blockers.ts';
import { close, connect, rows, withClient } from '../../../../automation/data/connect.ts';
import { createSlot } from '../../../../automation/data/link.ts';
import { startCluster, stopCluster } from '../../../../infra/local/postgres/cluster.ts';
import { createRig, type Rig } from './rig.ts';

describe('what keeps a release waiting in a database', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
    await rig.fresh('CREATE TABLE orders (id int PRIMARY KEY, who text); CREATE TABLE big (id int, filler text)');
    const settings = ['max_prepared_transactions = 5', 'autovacuum_freeze_max_age = 100000', 'autovacuum_naptime = 1'];
    for (const setting of settings) await admin(`ALTER SYSTEM SET ${setting}`);
    await stopCluster(rig.specs.blue);
    await startCluster(rig.specs.blue);
  });
  after(() => rig.dispose());
  const admin = (sql: string) => withClient(rig.blue.access, 'admin', (client) => client.query(sql));
  const asked = (ask: typeof lockHolders): Promise<string> =>
    withClient(rig.blue.access, 'admin', async (client) => nameBlockers(await ask(client)) ?? '');

  it('a prepared transaction, by its name, owner, age and lock [N6]', async () => {
    const client = await connect(rig.blue.access, 'owner');
    await client.query(`BEGIN; INSERT INTO orders VALUES (1, 'Ada'); PREPARE TRANSACTION 'left behind'`);
    await close(client);
    try {
      const prepared = /^prepared transaction "left behind" of owner for \d+ ms, RowExclusiveLock on public\.orders$/;
      expect(await asked(lockHolders)).to.match(prepared);
      expect(await asked(openWriters)).to.match(prepared);
      const slot = withClient(rig.blue.access, 'admin', (c) => createSlot(c, 'late', 300));
      const error = await slot.catch((e: unknown) => e);
      expect(error)
        .to.have.property('found')
        .that.match(/^a transaction stayed open for longer than 300 ms \(prepared transaction "left behind" of owner/);
    } finally {
      await withClient(rig.blue.access, 'owner', (c) => c.query(`ROLLBACK PREPARED 'left behind'`));
    }
  });

  it('sessions: idle in a transaction, active, waiting for a lock; never a statement [I]', async () => {
    const [idle, waits, sleeps] = await Promise.all(
      ['shop', 'migration', 'report'].map((name) => connect(rig.blue.access, 'owner', { applicationName: name })),
    );
    try {
      await idle?.query(`BEGIN; INSERT INTO orders VALUES (2, 'Ada')`);
      const queued = waits?.query('BEGIN; LOCK TABLE orders; ROLLBACK');
      const slept = sleeps?.query(`SELECT pg_sleep(1), 'Ada'`);
      await sleep(100);
      const holders = await asked(lockHolders);
      expect(holders)
        .to.match(/of owner \(shop\), idle in transaction for \d+ ms, RowExclusiveLock on public\.orders/)
        .and.match(
          /of owner \(migration\), active, waiting for a lock for \d+ ms, AccessExclusiveLock on public\.orders/,
        )
        .and.not.include('report');
      expect(await asked(openWriters))
        .to.include('(shop)')
        .and.not.include('(report)');
      expect(await asked(busySessions))
        .to.match(/of owner \(report\), active for \d+ ms(;|$)/)
        .and.not.include('Ada');
      await idle?.query('ROLLBACK');
      await Promise.all([queued, slept]);
      expect(await asked(lockHolders)).to.equal('');
    } finally {
      await Promise.all([idle, waits, sleeps].map(close));
    }
  });

  it('an autovacuum that must not be cancelled [I]', async () => {
    await admin(`ALTER TABLE big SET (autovacuum_enabled = false, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1);
      INSERT INTO big SELECT i, repeat('x', 2000) FROM generate_series(1, 2000) i`);
    const burner = await connect(rig.blue.access, 'admin');
    try {
      await burner.query('SET synchronous_commit = off');
      await burner.query('DO $$ BEGIN FOR i IN 1..101000 LOOP PERFORM txid_current(); COMMIT; END LOOP; END $$');
      const running = `SELECT 1 FROM pg_stat_activity WHERE query LIKE '%public.big (to prevent wraparound)'`;
      while ((await rows(burner, running)).length === 0) await sleep(50);
      expect(await asked(lockHolders)).to.match(
        /process \d+, autovacuum \(to prevent wraparound\) for \d+ (ms|s), ShareUpdateExclusiveLock on public\.big/,
      );
    } finally {
      await close(burner);
    }
  });
});
