import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { close, connect, withClient } from '../../../../../automation/data/connect.ts';
import { linkBetween } from '../../../../../automation/data/link.ts';
import { followEmptied } from '../../../../../automation/data/replication/emptied.ts';
import { followPartitions } from '../../../../../automation/data/replication/partitions.ts';
import { replayChanges } from '../../../../../automation/data/replication/replay.ts';
import { noTries, reviveLink } from '../../../../../automation/data/replication/revive.ts';
import { describeDrift } from '../../../../../automation/data/replication/schema-drift.ts';
import { startSync, stopSync, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { grantWrites } from '../../../../../infra/application/roles.ts';
import { createRig, expand, migrate, value, type Rig } from '../rig.ts';

const shop = `CREATE SCHEMA shop;
  CREATE TABLE shop.m (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
  CREATE TABLE shop.m_1 PARTITION OF shop.m FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
  CREATE TABLE shop.m_2 PARTITION OF shop.m FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
  INSERT INTO shop.m VALUES (1, '2026-01-01'), (2, '2026-02-01');`;

describe('the side that follows gets the partitions of the live one [C3]', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());
  const link = () => linkBetween(rig.blue, rig.green);
  const following = async (schema = shop, migration = '') => {
    await rig.fresh(schema);
    await expand(rig, migration);
    await startSync(rig.blue, rig.green);
    await waitForSync(link(), { timeoutMs: 20_000 });
  };
  afterEach(() => stopSync(link()));

  const march = `FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')`;
  const expanded = `ALTER TABLE shop.m ADD COLUMN note text DEFAULT 'n', ADD CHECK (note <> ''); CREATE INDEX by_note ON shop.m (note)`;
  const rowsOf = (side = rig.green) =>
    value<string>(side, `SELECT string_agg(concat(id, ' ', tableoid::regclass), ',' ORDER BY id) FROM shop.m`);
  const synced = async (): Promise<void> => {
    await waitForSync(link(), { timeoutMs: 20_000 });
    expect(await rowsOf()).to.equal(await rowsOf(rig.blue));
    const { drifts } = await replayChanges(link(), (_, replay) => replay());
    expect(describeDrift(drifts)).to.equal('');
  };

  for (const [what, before, sql] of [
    [
      'with a row',
      '',
      `CREATE TABLE shop.m_3 PARTITION OF shop.m ${march}; INSERT INTO shop.m VALUES (3, '2026-03-01')`,
    ],
    [
      'of several levels',
      '',
      `CREATE TABLE shop.m_3 PARTITION OF shop.m ${march} PARTITION BY LIST (id);
       CREATE TABLE shop.a_3 PARTITION OF shop.m_3 DEFAULT; INSERT INTO shop.m VALUES (3, '2026-03-01')`,
    ],
    [
      'with an index, a right, a comment and an owner of its own',
      'CREATE TABLE mine (id int PRIMARY KEY)',
      `CREATE TABLE shop.m_3 PARTITION OF shop.m ${march}; CREATE INDEX own ON shop.m_3 (at, id); GRANT TRUNCATE ON shop.m_3 TO app_writer;
       COMMENT ON TABLE shop.m_3 IS 'march'; ALTER TABLE shop.m_3 REPLICA IDENTITY FULL; ALTER TABLE shop.m_3 SET (fillfactor = 70, toast.autovacuum_enabled = false); INSERT INTO shop.m VALUES (3, '2026-03-01')`,
    ],
    [
      'that was an empty table of its own',
      '',
      `CREATE TABLE shop.m_3 (LIKE shop.m INCLUDING ALL); ALTER TABLE shop.m ATTACH PARTITION shop.m_3 ${march}; INSERT INTO shop.m VALUES (3, '2026-03-01')`,
    ],
    [
      'that was a table with rows when the copy began',
      `CREATE TABLE shop.m_3 (LIKE shop.m INCLUDING ALL); INSERT INTO shop.m_3 VALUES (3, '2026-03-01')`,
      `INSERT INTO shop.m_3 VALUES (4, '2026-03-02'); ALTER TABLE shop.m ATTACH PARTITION shop.m_3 ${march}; INSERT INTO shop.m VALUES (5, '2026-03-03')`,
    ],
    [
      'beside a default one, whose rows it takes over',
      `CREATE TABLE shop.rest PARTITION OF shop.m DEFAULT; INSERT INTO shop.m VALUES (3, '2026-03-01'), (4, '2026-04-01')`,
      `BEGIN; CREATE TEMP TABLE aside AS SELECT * FROM shop.rest WHERE at < '2026-04-01'; DELETE FROM shop.rest WHERE at < '2026-04-01';
       CREATE TABLE shop.m_3 PARTITION OF shop.m ${march}; INSERT INTO shop.m SELECT * FROM aside; COMMIT`,
    ],
    [
      'that is the default one',
      '',
      `CREATE TABLE shop.rest PARTITION OF shop.m DEFAULT; INSERT INTO shop.m VALUES (3, '2027-03-01')`,
    ],
  ] as const) {
    it(`one ${what}`, async () => {
      await following(`${shop} ${before}`, before.includes('LIKE') ? '' : expanded);
      await rig.run(rig.blue, sql);
      await synced();
    });
  }

  it('after its first row has stopped the replication, which goes on by itself', async () => {
    await following(shop, expanded);
    await rig.run(
      rig.blue,
      `CREATE TABLE shop.m_3 PARTITION OF shop.m ${march}; INSERT INTO shop.m VALUES (3, '2026-03-01')`,
    );
    while ((await value(rig.green, 'SELECT subenabled FROM pg_subscription')) === true) await sleep(50);
    expect(await reviveLink(link(), noTries())).to.equal(true);
    await synced();
  });

  it('but not one that had rows that nobody has published: it is named', async () => {
    await following();
    await rig.run(
      rig.blue,
      `CREATE TABLE shop.m_3 (LIKE shop.m INCLUDING ALL); INSERT INTO shop.m_3 VALUES (3, '2026-03-01'); ALTER TABLE shop.m ATTACH PARTITION shop.m_3 ${march}`,
    );
    const error = await waitForSync(link(), { timeoutMs: 20_000 }).catch((e: Error) => e.message);
    expect(error).to.match(/table shop\.m_3 was added on blue/);
  });

  it('which belong to whom they belong to on the live side, also beside a default one', async () => {
    await following(`${shop} CREATE TABLE shop.rest PARTITION OF shop.m DEFAULT`);
    await rig.run(rig.blue, `CREATE TABLE shop.m_3 PARTITION OF shop.m ${march}`);
    await synced();
    const owner = `SELECT tableowner FROM pg_tables WHERE tablename = 'm_3'`;
    expect(await value(rig.green, owner)).to.equal(await value(rig.blue, owner));
  });

  it('but keeps one that a job drops and makes anew meanwhile, with its rows', async () => {
    await following(`${shop} CREATE TABLE busy (id int PRIMARY KEY)`);
    await withClient(rig.blue.access, 'admin', (source) =>
      withClient(rig.green.access, 'admin', async (target) => {
        const holder = await connect(rig.green.access, 'owner');
        try {
          // Behind this lock the drop waits for what was written before it, and the new rows follow at once.
          await holder.query('BEGIN; LOCK TABLE busy');
          await rig.run(rig.blue, 'INSERT INTO busy VALUES (1); DROP TABLE shop.m_1');
          const followed = followPartitions(link(), source, target);
          await rig.run(
            rig.blue,
            `CREATE TABLE shop.m_1 PARTITION OF shop.m FOR VALUES FROM ('2026-01-01') TO ('2026-02-01'); INSERT INTO shop.m VALUES (7, '2026-01-07')`,
          );
          await holder.query('ROLLBACK');
          await followed;
        } finally {
          await close(holder);
        }
      }),
    );
    await waitForSync(link(), { timeoutMs: 20_000 });
    expect(await value(rig.green, 'SELECT count(*)::int FROM shop.m WHERE id = 7')).to.equal(1);
  });

  it('and loses one with it, after the last change of its rows [C5]', async () => {
    await following(shop, expanded);
    await rig.run(
      rig.blue,
      `INSERT INTO shop.m SELECT i, '2026-01-02' FROM generate_series(10, 9000) i; DROP TABLE shop.m_1`,
    );
    await synced();
    expect(await value(rig.green, `SELECT to_regclass('shop.m_1') IS NULL`)).to.equal(true);
  });

  for (const [what, before, sql] of [
    ['emptied, of which PostgreSQL sends nothing', '', 'TRUNCATE shop.m_1'],
    [
      'emptied, with what refers to it',
      'CREATE TABLE shop.of (id int PRIMARY KEY, m int, at date, FOREIGN KEY (m, at) REFERENCES shop.m (id, at));',
      'TRUNCATE shop.m_1 CASCADE',
    ],
    [
      'dropped and made anew under its name',
      '',
      `BEGIN; DROP TABLE shop.m_1; CREATE TABLE shop.m_1 PARTITION OF shop.m FOR VALUES FROM ('2026-01-01') TO ('2026-02-01'); COMMIT`,
    ],
  ] as const)
    it(`and has no row of one that is ${what} [C5]`, async () => {
      await following(`${shop} ${before}`, expanded);
      await rig.run(rig.blue, `INSERT INTO shop.m SELECT i, '2026-01-02' FROM generate_series(10, 9000) i; ${sql}`);
      await synced();
      expect(await value(rig.green, 'SELECT count(*)::int FROM shop.m')).to.equal(1);
    });

  const emptied = (): Promise<string[]> =>
    withClient(rig.blue.access, 'admin', (source) =>
      withClient(rig.green.access, 'admin', (target) => followEmptied(link(), source, target)),
    );

  it('but keeps rows that the expand migrations wrote into one that the live side has left empty', async () => {
    const empty = `CREATE TABLE shop.m_3 PARTITION OF shop.m ${march}`;
    await following(`${shop} ${empty}`);
    await migrate(rig, `INSERT INTO shop.m VALUES (3, '2026-03-01')`);
    await rig.run(rig.blue, 'GRANT SELECT ON shop.m_3 TO app; ANALYZE shop.m_3');
    expect(await emptied()).to.deep.equal([]);
    expect(await value(rig.green, 'SELECT count(*)::int FROM shop.m_3')).to.equal(1);
  });

  it('but keeps rows in the default one that belong to one that it has not yet', async () => {
    await following(`${shop} CREATE TABLE shop.rest PARTITION OF shop.m DEFAULT`);
    await rig.run(
      rig.blue,
      `CREATE TABLE shop.m_3 PARTITION OF shop.m ${march}; INSERT INTO shop.m VALUES (3, '2026-03-01')`,
    );
    while ((await value(rig.green, 'SELECT count(*)::int FROM shop.rest')) !== 1) await sleep(50);
    expect(await emptied()).to.deep.equal([]);
    await synced();
    expect(await value(rig.green, 'SELECT count(*)::int FROM shop.m_3')).to.equal(1);
  });

  it('and keeps a row that comes into one while it is emptied', async () => {
    await following();
    const holder = await connect(rig.green.access, 'owner');
    try {
      await holder.query('BEGIN; LOCK TABLE shop.m_1 IN ACCESS SHARE MODE');
      await rig.run(rig.blue, 'TRUNCATE shop.m_1');
      const followed = emptied();
      const waiting = `SELECT count(*)::int FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'`;
      while ((await value(rig.green, waiting)) === 0) await sleep(10);
      await rig.run(rig.blue, `INSERT INTO shop.m VALUES (7, '2026-01-07')`);
      await holder.query('ROLLBACK');
      expect(await followed).to.deep.equal([]);
    } finally {
      await close(holder);
    }
    await waitForSync(link(), { timeoutMs: 20_000 });
    expect(await value(rig.green, 'SELECT count(*)::int FROM shop.m WHERE id = 7')).to.equal(1);
  });

  it('and empties nothing on a side that has taken the writes while its lock was waited for', async () => {
    await following();
    await rig.run(rig.blue, 'TRUNCATE shop.m_1');
    const holder = await connect(rig.green.access, 'owner');
    try {
      await holder.query('BEGIN; LOCK TABLE ONLY shop.m_1 IN ACCESS SHARE MODE');
      const followed = emptied();
      const waiting = `SELECT count(*)::int FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'`;
      while ((await value(rig.green, waiting)) === 0) await sleep(10);
      await withClient(rig.green.access, 'admin', (target) => target.query(grantWrites));
      await holder.query(`INSERT INTO shop.m VALUES (7, '2026-01-07'); COMMIT`);
      expect(await followed).to.deep.equal([]);
    } finally {
      await close(holder);
    }
    expect(await value(rig.green, 'SELECT count(*)::int FROM shop.m WHERE id = 7')).to.equal(1);
  });
});
