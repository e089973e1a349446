import { execFileSync, fork } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { compareFollowing } from '../../../../../automation/data/comparison/following.ts';
import { close, connect, rows, withClient } from '../../../../../automation/data/connect.ts';
import { linkBetween, type Side } from '../../../../../automation/data/link.ts';
import { databaseIdentity, mayWrite } from '../../../../../automation/data/schema.ts';
import { followSync, stopSync, syncStatus, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { startCluster, stopCluster } from '../../../../../infra/local/postgres/cluster.ts';
import { giveToServer } from '../../../../../infra/local/postgres/create.ts';
import { controlOf } from '../../../../lib/server-control.ts';
import type { Order } from './dying-seed.ts';
import { createRig, schemaV1, value, type Rig } from '../rig.ts';
import { MemoryRouter, Workload } from '../traffic.ts';

/** What a copy by schema and rows would lose, or could not copy. */
const asAdministrator = `
  CREATE ROLE metabase LOGIN PASSWORD 'of metabase';
  GRANT CONNECT ON DATABASE app TO metabase;
  GRANT SELECT ON settings TO metabase;
  ALTER DATABASE app SET timezone = 'Asia/Kathmandu';
  ALTER DATABASE app SET search_path = public, pg_catalog;
  CREATE EXTENSION unaccent;
  ALTER FUNCTION unaccent(text) IMMUTABLE;
  CREATE TABLE people (id int PRIMARY KEY, name text);
  ALTER TABLE people OWNER TO owner;
  INSERT INTO people SELECT i, 'Zoë ' || i FROM generate_series(1, 200) i;
  CREATE INDEX people_unaccented ON people (unaccent(name));
  CREATE TABLE configuration (key text PRIMARY KEY, value text);
  INSERT INTO configuration VALUES ('of a user', 'kept');
  ALTER EXTENSION unaccent ADD TABLE configuration;
  SELECT lo_from_bytea(0, 'a large object')`;

const asOwner = `
  CREATE EXTENSION citext;
  CREATE FUNCTION helper(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)';
  CREATE FUNCTION folded(text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = public AS 'SELECT helper($1)';
  CREATE INDEX settings_folded ON settings (folded(value));
  ANALYZE`;

describe('a physical seed', () => {
  let rig: Rig;
  const link = () => linkBetween(rig.blue, rig.green);
  const admin = (side: Side, sql: string) =>
    withClient(side.access, 'admin', async (client) => void (await client.query(sql)));
  const asked = <T>(side: Side, sql: string) => withClient(side.access, 'admin', (client) => rows<T>(client, sql));
  const slotsOf = async (side: Side): Promise<string[]> =>
    (await asked<{ name: string }>(side, 'SELECT slot_name AS name FROM pg_replication_slots')).map(({ name }) => name);

  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());

  describe('of a database with everything that is not a row of a table', () => {
    let load: Workload;
    const router = new MemoryRouter();
    before(async () => {
      await rig.fresh(schemaV1);
      await rig.run(rig.blue, asOwner);
      await admin(rig.blue, asAdministrator);
      await admin(rig.blue, 'ALTER SYSTEM SET log_min_duration_statement = 12345');
      await admin(rig.blue, 'SELECT pg_reload_conf()');
      load = new Workload(rig, router, 100, 4);
      await load.more(20);
      await rig.seed();
      await load.more(20);
    });
    after(async () => {
      await load.stop();
      await stopSync(link());
      await admin(rig.blue, 'ALTER SYSTEM RESET log_min_duration_statement');
      for (const side of [rig.blue, rig.green]) await admin(side, 'DROP OWNED BY metabase; DROP ROLE metabase');
    });

    it('has the roles of users, their passwords and rights [B1]', async () => {
      const metabase = { user: 'metabase', password: 'of metabase' };
      const count = await withClient({ ...rig.green.access, app: metabase }, 'app', (client) =>
        rows<{ n: number }>(client, 'SELECT count(*)::int AS n FROM settings'),
      );
      expect(count).to.deep.equal([{ n: 500 }]);
    });

    it('keeps the owners of extensions, so that a migration may go on with them [B2]', async () => {
      await rig.run(rig.green, `COMMENT ON EXTENSION citext IS 'x'`);
      expect(await value(rig.green, `SELECT obj_description(oid) FROM pg_extension WHERE extname = 'citext'`)).to.equal(
        'x',
      );
    });

    it('has the settings of the database [B3]', async () => {
      expect(await value(rig.green, 'SHOW timezone')).to.equal('Asia/Kathmandu');
      expect(await value(rig.green, 'SHOW search_path')).to.equal('public, pg_catalog');
    });

    it('has indexes over altered functions, and over one with unqualified names and a path of its own [B5] [B6]', async () => {
      const valid = `SELECT count(*)::int FROM pg_index WHERE indisvalid AND indexrelid IN ('people_unaccented'::regclass, 'settings_folded'::regclass)`;
      expect(await value(rig.green, valid)).to.equal(2);
      const used = `SET enable_seqscan = off; SELECT count(*)::int AS n FROM people WHERE unaccent(name) = 'Zoe 7'`;
      await withClient(rig.green.access, 'owner', async (client) => {
        const [, found] = (await client.query(used)) as unknown as [unknown, { rows: unknown[] }];
        expect(found.rows).to.deep.equal([{ n: 1 }]);
      });
    });

    it('has the rows of users in the tables of extensions [B7]', async () => {
      expect(await asked(rig.green, 'SELECT * FROM configuration')).to.deep.equal([
        { key: 'of a user', value: 'kept' },
      ]);
    });

    it('has the large objects [B10]', async () => {
      const [object] = await asked<{ text: string }>(
        rig.green,
        `SELECT convert_from(lo_get(oid), 'UTF8') AS text FROM pg_largeobject_metadata`,
      );
      expect(object).to.deep.equal({ text: 'a large object' });
    });

    it('has the statistics [B11]', async () => {
      const known = `SELECT reltuples::int AS tuples, (SELECT count(*)::int FROM pg_stats WHERE tablename = 'settings') AS columns FROM pg_class WHERE oid = 'settings'::regclass`;
      expect(await asked(rig.green, known)).to.deep.equal([{ tuples: 500, columns: 3 }]);
    });

    it('is its own: identity, passwords, and nothing that the source was told', async () => {
      await withClient(rig.green.access, 'admin', async (client) => {
        expect(await databaseIdentity(client)).to.equal('green');
        expect(await mayWrite(client)).to.equal(false);
        expect((await client.query('SHOW log_min_duration_statement')).rows).to.deep.equal([
          { log_min_duration_statement: '-1' },
        ]);
      });
      await withClient(rig.blue.access, 'admin', async (client) =>
        expect((await client.query('SHOW log_min_duration_statement')).rows).to.deep.equal([
          { log_min_duration_statement: '12345ms' },
        ]),
      );
    });

    it('follows from its cut-off on: nothing is missing, and nothing there twice', async () => {
      await load.more(100);
      await rig.run(rig.blue, `INSERT INTO settings SELECT id, 'language', 'Nepali' FROM accounts LIMIT 10`);
      await followSync(link());
      await waitForSync(link(), { timeoutMs: 60_000 });
      await load.more(50);
      const compared = await compareFollowing(link(), 'left');
      expect(compared.filter(({ equal }) => !equal)).to.deep.equal([]);
      expect(compared.length).to.be.greaterThan(4);
      await load.stop();
      await waitForSync(link(), { timeoutMs: 60_000 });
      expect(load.failures).to.deep.equal([]);
      expect(await load.check(rig)).to.deep.equal([]);
      router.split = { live: 'green', percent: 0 };
      expect(await load.check(rig)).to.deep.equal([]);
    });

    it('leaves nothing on the source but what is followed', async () => {
      expect(await slotsOf(rig.blue)).to.deep.equal([link().name]);
      expect(await slotsOf(rig.green)).to.deep.equal([]);
    });
  });

  it('carries a constraint that old rows violate [B8]', async () => {
    await rig.fresh(schemaV1);
    await rig.run(rig.blue, 'ALTER TABLE accounts ADD CONSTRAINT rich CHECK (balance > 100) NOT VALID');
    await rig.seed();
    await followSync(link());
    await waitForSync(link(), { timeoutMs: 60_000 });
    expect(await value(rig.green, 'SELECT count(*)::int FROM accounts WHERE balance <= 100')).to.equal(100);
    await rig.run(rig.blue, `INSERT INTO accounts (email, balance) VALUES ('rich@example.invalid', 1000)`);
    await waitForSync(link(), { timeoutMs: 60_000 });
    expect(await value(rig.green, 'SELECT count(*)::int FROM accounts')).to.equal(501);
    await stopSync(link());
  });

  it('recovers the prepared transactions that the application makes meanwhile, and allows as many [N6]', async () => {
    await rig.fresh('CREATE TABLE orders (id int PRIMARY KEY)');
    const restart = async (setting: string): Promise<void> => {
      await admin(rig.blue, `ALTER SYSTEM ${setting}`);
      await stopCluster(rig.specs.blue);
      await startCluster(rig.specs.blue);
    };
    await restart('SET max_prepared_transactions = 7');
    let ended = false;
    let writing: Promise<void> | undefined;
    const write = () =>
      withClient(rig.blue.access, 'owner', async (client) => {
        for (let id = 1; !ended; id++) {
          await client.query(`BEGIN; INSERT INTO orders VALUES (${id}); PREPARE TRANSACTION 'order'`);
          await client.query(`COMMIT PREPARED 'order'`);
        }
      });
    try {
      // Called when everything is published and nothing is copied yet.
      await rig.seed({ mayReplace: () => Promise.resolve(void (writing ??= write())) });
    } finally {
      ended = true;
      await writing;
    }
    await followSync(link());
    await waitForSync(link(), { timeoutMs: 20_000 });
    const compared = await compareFollowing(link(), 'both');
    expect(compared.map(({ table, equal, rows: { left } }) => [table, equal, left > 0])).to.deep.equal([
      ['public.orders', true, true],
    ]);
    expect(await value(rig.green, `SELECT current_setting('max_prepared_transactions')`)).to.equal('7');
    await stopSync(link());
    await restart('RESET max_prepared_transactions');
  });

  it('brings tablespaces into the directory of the copy [B12]', async () => {
    await rig.fresh(schemaV1);
    const directory = await mkdtemp(join(tmpdir(), 'greenlight-space = '));
    try {
      const space = join(directory, 'fast disk');
      await mkdir(space);
      await giveToServer(space);
      await admin(rig.blue, `CREATE TABLESPACE fast OWNER owner LOCATION '${space}'`);
      await rig.run(
        rig.blue,
        'CREATE TABLE apart (id int PRIMARY KEY) TABLESPACE fast; INSERT INTO apart SELECT generate_series(1, 100)',
      );
      await rig.seed();
      await followSync(link());
      await rig.run(rig.blue, 'INSERT INTO apart VALUES (101)');
      await waitForSync(link(), { timeoutMs: 60_000 });
      expect(await value(rig.green, 'SELECT count(*)::int FROM apart')).to.equal(101);
      const [place] = await asked<{ place: string }>(
        rig.green,
        `SELECT pg_tablespace_location(oid) AS place FROM pg_tablespace WHERE spcname = 'fast'`,
      );
      expect(place?.place).to.match(new RegExp(`^${rig.specs.green.directory}/tablespaces/\\d+$`));
      await stopSync(link());
    } finally {
      for (const side of [rig.blue, rig.green])
        await admin(side, 'DROP TABLE IF EXISTS apart; DROP TABLESPACE IF EXISTS fast').catch(() => undefined);
      await rm(directory, { recursive: true });
    }
  });

  it('lets expand migrations run before anything is applied, with locks and with new rows [D4] [D7]', async () => {
    await rig.fresh(schemaV1);
    const load = new Workload(rig, new MemoryRouter(), 100, 4);
    try {
      await load.more(20);
      // The writers use the numbers of accounts; those that a migration takes must be others.
      await rig.run(rig.blue, 'CREATE TABLE plans (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE)');
      await rig.run(rig.blue, `INSERT INTO plans (name) SELECT 'plan ' || i FROM generate_series(1, 40) i`);
      await rig.seed();
      const migrated = rig.run(
        rig.green,
        `BEGIN; LOCK TABLE entries, counters IN ACCESS EXCLUSIVE MODE; INSERT INTO plans (name) VALUES ('new'); SELECT pg_sleep(5); COMMIT`,
      );
      await load.more(200);
      expect(await asked(rig.green, 'SELECT pid FROM pg_stat_subscription WHERE pid IS NOT NULL')).to.deep.equal([]);
      await migrated;
      expect(Number(await value(rig.green, `SELECT id FROM plans WHERE name = 'new'`))).to.be.greaterThan(40);
      await followSync(link());
      await waitForSync(link(), { timeoutMs: 60_000 });
      expect(await syncStatus(link())).to.include({ state: 'streaming' });
    } finally {
      await load.stop();
      await stopSync(link());
    }
    expect(load.failures).to.deep.equal([]);
  });

  it('is undone by an abort at any moment, and may be repeated', async () => {
    await rig.fresh(schemaV1);
    await rig.run(rig.green, 'CREATE TABLE precious AS SELECT 1 AS one');
    const open = await connect(rig.blue.access, 'owner');
    for (const moment of ['copying', 'cut-off', 'copied'] as const) {
      const controller = new AbortController();
      const stop = (): void => controller.abort(new Error(`aborted: ${moment}`));
      let looks = 0;
      if (moment === 'cut-off') await open.query('BEGIN; UPDATE accounts SET balance = 0 WHERE id = 1');
      const failed = rig
        .seed({
          signal: controller.signal,
          ...(moment === 'copying' ? { onProgress: stop } : {}),
          mayReplace: () => {
            if (++looks === 2 && moment === 'copied') stop();
            return Promise.resolve();
          },
        })
        .then(
          () => 'it was not aborted',
          (error: Error) => error.message,
        );
      if (moment === 'cut-off') {
        while (!(await slotsOf(rig.blue)).includes(link().name)) await sleep(20);
        stop();
      }
      expect(await failed, moment).to.include(`aborted: ${moment}`);
      expect(await value(rig.green, 'SELECT one FROM precious'), moment).to.equal(1);
      expect(await slotsOf(rig.blue), moment).to.deep.equal([]);
      await open.query('ROLLBACK');
    }
    await close(open);
    await rig.seed();
    await followSync(link());
    await waitForSync(link(), { timeoutMs: 60_000 });
    expect(await value(rig.green, 'SELECT count(*)::int FROM accounts')).to.equal(500);
    await stopSync(link());
  });

  describe('by a program that is killed', () => {
    let load: Workload;
    const router = new MemoryRouter();
    before(async () => {
      await rig.fresh(schemaV1);
      load = new Workload(rig, router, 50, 4);
      await load.more(20);
    });
    after(async () => {
      await load.stop();
      await stopSync(link());
    });

    /** Ends when a new program has put everything right, and all that was written is on both sides. */
    const repeated = async (): Promise<void> => {
      await rig.seed();
      await followSync(link());
      await waitForSync(link(), { timeoutMs: 60_000 });
      expect((await compareFollowing(link(), 'left')).filter(({ equal }) => !equal)).to.deep.equal([]);
      expect(load.failures).to.deep.equal([]);
      const beside = await readdir(dirname(rig.specs.green.directory));
      expect(beside.sort()).to.deep.equal(['blue', 'ca', 'green']);
      expect(await slotsOf(rig.blue)).to.deep.equal([link().name]);
    };

    for (const dieAt of ['copying', 'cut-off', 'copied', 'stopped', 'placed'] as const)
      it(`is put right by a repeat: ${dieAt}`, async () => {
        const { blue, green, specs } = rig;
        const child = fork(join(import.meta.dirname, 'dying-seed.ts'), {
          stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
        });
        child.send({ from: blue, to: green, cluster: specs.green, dieAt } satisfies Order);
        const signal = await new Promise((resolve) => child.once('exit', (_, ended) => resolve(ended)));
        expect(signal).to.equal('SIGKILL');
        await load.more(10);
        // What kept the log of the live side ends with the program; what is followed is found by its name.
        while ((await slotsOf(blue)).some((name) => name !== link().name)) await sleep(20);
        await repeated();
      });

    it('is put right by a repeat: neither the old cluster nor the copy has its place', async () => {
      const gone = execFileSync('sh', ['-c', 'echo $$'], { encoding: 'utf8' }).trim();
      const { directory } = rig.specs.green;
      await stopSync(link());
      await controlOf(rig.specs.green).stop();
      await rename(directory, `${directory}.deleted-${gone}-1`);
      await mkdir(`${directory}.new-${gone}-abcdef`);
      await repeated();
      await load.stop();
      await waitForSync(link(), { timeoutMs: 60_000 });
      for (const live of ['blue', 'green'] as const) {
        router.split = { live, percent: 0 };
        expect(await load.check(rig)).to.deep.equal([]);
      }
    });
  });
});
