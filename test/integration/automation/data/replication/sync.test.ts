import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { close, connect, rows, withClient } from '../../../../../automation/data/connect.ts';
import { linkBetween } from '../../../../../automation/data/link.ts';
import { preconditions } from '../../../../../automation/data/publication/preconditions.ts';
import { copySchema } from '../../../../../automation/data/copying/schema.ts';
import { resetDatabase } from '../../../../../automation/data/schema.ts';
import { noTries, reviveLink } from '../../../../../automation/data/replication/revive.ts';
import { startSync, stopSync, syncStatus, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { syncFacts } from '../../../../../automation/data/replication/sync-facts.ts';
import { OperationError } from '../../../../../infra/lib/errors.ts';
import { createRig, expand, schemaV1, value, type Rig } from '../rig.ts';

const failure = async (work: Promise<unknown>): Promise<OperationError> => {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error, 'it should have failed').to.be.instanceOf(OperationError);
  return error as OperationError;
};

describe('replication to the inactive colour', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());
  const link = () => linkBetween(rig.blue, rig.green);
  const wait = () => waitForSync(link(), { timeoutMs: 20_000 });
  const admin = (side: Rig['blue'], sql: string) => withClient(side.access, 'admin', (client) => client.query(sql));

  it('copies everything, reports progress, and leaves nothing behind', async () => {
    await rig.fresh(
      `${schemaV1} CREATE MATERIALIZED VIEW balances AS SELECT sum(balance) AS total FROM accounts;
       CREATE TABLE parts (id int, at int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
       CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10); INSERT INTO parts SELECT i, i FROM generate_series(0, 9) i;`,
    );
    await expand(rig);
    const seen: number[] = [];
    await startSync(rig.blue, rig.green);
    const status = await waitForSync(link(), { timeoutMs: 20_000, onProgress: (s) => seen.push(s.tablesReady) });
    expect(status).to.include({ state: 'streaming', tables: 5, tablesReady: 5 });
    expect(seen.at(-1)).to.equal(5);
    expect(await value<string>(rig.green, 'SELECT total::text FROM balances')).to.equal('125250.00');
    expect(await value<string>(rig.green, 'SELECT count(*) FROM parts')).to.equal('10');
    const facts = await syncFacts(link());
    expect(facts).to.include({ workerAlive: true, slotStatus: 'reserved' });
    expect(facts.tables).to.have.length(5);
    const write = await failure(
      withClient(rig.green.access, 'app', (c) => c.query('DELETE FROM settings')).catch((e: Error) => {
        throw new OperationError('', e.message, '');
      }),
    );
    expect(write.found).to.include('permission denied');

    expect(await stopSync(link())).to.deep.equal({ unreachable: [] });
    expect(await stopSync(link())).to.deep.equal({ unreachable: [] });
    expect((await syncStatus(link())).state).to.equal('none');
    await withClient(rig.blue.access, 'admin', async (client) => {
      expect(await rows(client, 'SELECT slot_name FROM pg_replication_slots')).to.deep.equal([]);
      expect(await rows(client, 'SELECT pubname FROM pg_publication')).to.deep.equal([]);
    });
  });

  it('lists everything that cannot be replicated, and publishes nothing', async () => {
    await rig.fresh(
      `CREATE TABLE keyless (a int); CREATE UNLOGGED TABLE scratchpad (id int PRIMARY KEY); CREATE TABLE fine (id int PRIMARY KEY);
       CREATE TABLE whole (a int); ALTER TABLE whole REPLICA IDENTITY FULL; GRANT INSERT ON fine TO PUBLIC;
       CREATE MATERIALIZED VIEW m AS SELECT 1; SELECT lo_create(0);
       CREATE FUNCTION sneaky() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM fine';`,
    );
    await admin(
      rig.blue,
      `CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE far (a int) SERVER s; CREATE TABLE foreign_owned (id int PRIMARY KEY)`,
    );
    const open = await connect(rig.blue.access, 'owner');
    try {
      await open.query('BEGIN; INSERT INTO fine VALUES (9)');
      const found = await preconditions(rig.blue.access, rig.green.access, { openTransactionSeconds: 0 });
      const errors = found.filter((f) => f.severity === 'error').map((f) => f.found);
      const warnings = found.filter((f) => f.severity === 'warning').map((f) => f.found);
      for (const wanted of [
        'public.keyless has no primary key',
        'public.scratchpad is unlogged',
        'public.far',
        '1 large objects',
        'public.fine (INSERT to PUBLIC)',
        'public.foreign_owned belongs to admin',
        'public.sneaky() (EXECUTE to PUBLIC) is SECURITY DEFINER',
        'that writes',
      ]) {
        expect(
          errors.filter((e) => e.includes(wanted)),
          wanted,
        ).to.have.length(1);
      }
      expect(errors).to.have.length(8);
      expect(warnings.join()).to.include('public.m');
      expect(found.every((f) => f.cure.length > 0)).to.equal(true);
    } finally {
      await close(open);
    }
    const error = await failure(startSync(rig.blue, rig.green));
    expect(error.found).to.equal('7 preconditions are not met');
    expect(error.todo).to.include('keyless').and.to.include('REPLICA IDENTITY FULL');
    expect((await syncStatus(link())).state).to.equal('none');
    await withClient(rig.blue.access, 'app', (client) =>
      client.query('INSERT INTO fine VALUES (1); UPDATE fine SET id = 2'),
    );
  });

  it('names a conflicting row, in the copy and in a later change', async () => {
    await rig.fresh(schemaV1);
    await copySchema(rig.blue.access, rig.green.access);
    await rig.run(
      rig.green,
      `INSERT INTO accounts (id, email) OVERRIDING SYSTEM VALUE VALUES (42, 'planted@example.invalid')`,
    );
    const early = await failure(startSync(rig.blue, rig.green));
    expect(early.doing).to.equal('copying the rows of table public.accounts');
    expect(early.found).to.equal('it has rows already, where nobody but the replication may write');
    expect((await syncStatus(link())).state, 'nothing is left').to.equal('none');

    await stopSync(link());
    await resetDatabase(rig.green.access, 'green');
    await copySchema(rig.blue.access, rig.green.access);
    await startSync(rig.blue, rig.green);
    await wait();
    await rig.run(
      rig.green,
      `INSERT INTO accounts (id, email) OVERRIDING SYSTEM VALUE VALUES (501, 'planted@example.invalid')`,
    );
    await rig.run(rig.blue, `UPDATE accounts SET balance = 1 WHERE id = 3`);
    await rig.run(rig.blue, `INSERT INTO accounts (email) VALUES ('real@example.invalid')`);
    expect((await failure(wait())).found).to.include('public.accounts: the row with id = 501 is already on green');
    await stopSync(link());
  });

  it('restarts after a lost connection, and stays off at a conflict', async () => {
    await rig.fresh(schemaV1);
    await expand(rig);
    await startSync(rig.blue, rig.green);
    await wait();
    const enabled = () => value<string>(rig.green, 'SELECT subenabled::text FROM pg_subscription');
    const untilOff = async () => {
      while ((await enabled()) === 'true') await sleep(20);
    };
    const tries = noTries();
    const addSetting = (name: string) => `INSERT INTO settings VALUES (1, '${name}', '1')`;

    await admin(rig.blue, 'SELECT pg_terminate_backend(pid) FROM pg_stat_replication');
    await untilOff();
    await admin(rig.blue, addSetting('after the loss'));
    expect(await reviveLink(link(), tries)).to.equal(true);
    expect(await wait()).to.include({ state: 'streaming' });
    expect(await value<string>(rig.green, `SELECT count(*) FROM settings WHERE name = 'after the loss'`)).to.equal('1');
    expect(await reviveLink(link(), tries), 'it runs').to.equal(false);

    await admin(rig.green, addSetting('twice'));
    await admin(rig.blue, addSetting('twice'));
    await untilOff();
    expect(await reviveLink(link(), tries)).to.equal(false);
    expect((await failure(wait())).found).to.include('is already on green');
    await stopSync(link());
  });

  it('detects a schema change on the live side', async () => {
    await rig.fresh(schemaV1);
    await expand(rig);
    await startSync(rig.blue, rig.green);
    await wait();
    await rig.run(rig.green, 'CREATE TABLE more (id int PRIMARY KEY)');
    expect((await syncStatus(link())).state).to.equal('streaming');
    await rig.run(rig.blue, 'ALTER TABLE settings ADD COLUMN note text; CREATE TABLE late (id int PRIMARY KEY)');
    const { state, problem } = await syncStatus(link());
    expect(state).to.equal('broken');
    for (const what of ['column public.settings.note', 'table public.late'])
      expect(problem).to.include(`${what} was added on blue`);
    await stopSync(link());
  });

  for (const colour of ['blue', 'green'] as const)
    it(`detects a table of ${colour} that was made anew in the shape of the old one [C3]`, async () => {
      await rig.fresh('CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)');
      await expand(rig, 'SELECT 1');
      await startSync(rig.blue, rig.green);
      await wait();
      await rig.run(
        rig[colour],
        `CREATE TABLE t2 (LIKE t INCLUDING ALL); DROP TABLE t; ALTER TABLE t2 RENAME TO t; ALTER INDEX t2_pkey RENAME TO t_pkey`,
      );
      const told = `made anew, renamed or dropped since the replication began, which leaves their changes out: public.t (on ${colour})`;
      expect(await syncStatus(link())).to.include({ state: 'broken', problem: told });
      expect((await failure(wait())).found).to.equal(told);
      await stopSync(link());
    });

  it('detects a lost slot, although every table is ready', async () => {
    await rig.fresh(schemaV1);
    await expand(rig);
    await startSync(rig.blue, rig.green);
    await wait();
    await admin(rig.green, 'ALTER SUBSCRIPTION greenlight_to_green DISABLE');
    await admin(rig.blue, `ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'`);
    await admin(rig.blue, 'SELECT pg_reload_conf()');
    try {
      for (let i = 0; i < 4; i++)
        await admin(rig.blue, `SELECT pg_logical_emit_message(false, 'x', repeat('x', 4000000)), pg_switch_wal()`);
      await admin(rig.blue, 'CHECKPOINT');
      await admin(rig.green, 'ALTER SUBSCRIPTION greenlight_to_green ENABLE');
      const error = await failure(wait());
      expect(error.found).to.include('replication slot lost');
      expect((await syncFacts(link())).slotStatus).to.equal('lost');
      expect((await syncStatus(link())).tablesReady).to.equal(4);
    } finally {
      await admin(rig.blue, 'ALTER SYSTEM RESET max_slot_wal_keep_size');
      await admin(rig.blue, 'SELECT pg_reload_conf()');
    }
    await stopSync(link());
  });

  it('is removed from the reachable side if the other is gone', async () => {
    await rig.fresh(schemaV1);
    await expand(rig);
    await startSync(rig.blue, rig.green);
    await wait();
    const gone = linkBetween(rig.blue, { colour: 'green', access: { ...rig.green.access, port: 1 } });
    expect(await stopSync(gone)).to.deep.equal({ unreachable: ['green'] });
    expect(
      await withClient(rig.blue.access, 'admin', (c) => rows(c, 'SELECT slot_name FROM pg_replication_slots')),
    ).to.deep.equal([]);
    expect(await stopSync(link())).to.deep.equal({ unreachable: [] });
  });

  it('refuses to empty a live database, or one with a subscriber', async () => {
    await rig.fresh(schemaV1);
    expect((await failure(resetDatabase(rig.blue.access, 'blue'))).found).to.include('live');
    await expand(rig);
    await startSync(rig.blue, rig.green);
    expect((await failure(resetDatabase(rig.green.access, 'green'))).found).to.include(
      'subscription greenlight_to_green',
    );
    await stopSync(link());
    await resetDatabase(rig.green.access, 'green');
    expect(await value<null>(rig.green, `SELECT to_regclass('accounts')`)).to.equal(null);
  });
});
