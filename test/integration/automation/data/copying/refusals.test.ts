import { expect } from 'chai';
import { close, connect, rows, withClient } from '../../../../../automation/data/connect.ts';
import { analyse } from '../../../../../automation/data/copying/statistics.ts';
import { beginSchema } from '../../../../../automation/data/copying/schema.ts';
import { linkBetween, type Side } from '../../../../../automation/data/link.ts';
import { preconditions } from '../../../../../automation/data/publication/preconditions.ts';
import { startSync, stopSync, syncStatus, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { resetDatabase } from '../../../../../automation/data/schema.ts';
import { OperationError } from '../../../../../infra/lib/errors.ts';
import { createRig, schemaV1, value, type Rig } from '../rig.ts';

describe('what a copy by rows to another version cannot carry', () => {
  let rig: Rig;
  const link = () => linkBetween(rig.blue, rig.green);
  const admin = (side: Side, sql: string) =>
    withClient(side.access, 'admin', async (client) => {
      for (const one of sql.split(';\n')) await client.query(one);
    });
  const findings = async (severity: 'error' | 'warning') =>
    (await preconditions(rig.blue.access, rig.green.access)).filter((one) => one.severity === severity);
  const refused = async (work: Promise<unknown>): Promise<OperationError> => {
    const error = await work.then(
      () => undefined,
      (e: unknown) => e,
    );
    expect(error, 'it should have failed').to.be.instanceOf(OperationError);
    return error as OperationError;
  };
  const copy = async (): Promise<void> => {
    await resetDatabase(rig.green.access, 'green', { like: rig.blue.access });
    const rest = await beginSchema(rig.blue.access, rig.green.access);
    try {
      await startSync(rig.blue, rig.green, { afterRows: rest.finish });
    } finally {
      await rest.dispose();
    }
  };

  before(async () => {
    rig = await createRig({ blue: 15, green: 17 });
  });
  after(() => rig.dispose());
  afterEach(() => stopSync(link()));

  for (const [what, sql, wanted] of [
    [
      'a function in an index',
      `CREATE FUNCTION helper(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)';
       CREATE FUNCTION folded(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT helper($1)';
       CREATE INDEX settings_folded ON settings (name, folded(value))`,
      ['index public.settings_folded', 'folded(text)', 'function helper(text) does not exist'],
    ],
    [
      'a procedural function in a predicate, of an empty table',
      `CREATE TABLE units (name text PRIMARY KEY);
       CREATE FUNCTION known(n text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN n IN (SELECT name FROM units); END $$;
       CREATE TABLE weights (id int PRIMARY KEY, unit text); CREATE INDEX weights_known ON weights (id) WHERE known(unit)`,
      ['index public.weights_known', 'known(text)', 'relation "units" does not exist'],
    ],
    [
      'a function in a CHECK constraint',
      `CREATE FUNCTION even(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 % 2 = zero()';
       CREATE FUNCTION zero() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 0';
       CREATE TABLE pairs (id int PRIMARY KEY CONSTRAINT is_even CHECK (even(id)))`,
      ['table public.pairs, constraint is_even', 'even(integer)', 'function zero() does not exist'],
    ],
    [
      'a function in a generated column',
      `CREATE TYPE colour AS ENUM ('red');
       CREATE FUNCTION coloured(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN $1::colour; END $$;
       CREATE TABLE things (id int PRIMARY KEY, c text, d text GENERATED ALWAYS AS (coloured(c)) STORED)`,
      ['table public.things, generated column d', 'coloured(text)', 'type "colour" does not exist'],
    ],
  ] as const) {
    it(`names ${what} that finds its names by the search path, with a cure that works [B6]`, async () => {
      await rig.fresh(`SET check_function_bodies = off; ${schemaV1} ${sql}`);
      const found = (await findings('error')).filter((one) => one.found.includes('search path'));
      expect(found).to.have.length(1);
      for (const text of wanted) expect(found[0]?.found).to.include(text);
      await rig.run(rig.blue, found[0]?.cure ?? '');
      expect((await findings('error')).map((one) => one.found)).to.deep.equal([]);
      await copy();
      await waitForSync(link(), { timeoutMs: 20_000 });
    });
  }

  it('carries what users have configured in extensions, beside what the extension comes with [B7]', async () => {
    const table = `
      CREATE EXTENSION fuzzystrmatch;
      CREATE TABLE rules (name text PRIMARY KEY, own boolean NOT NULL DEFAULT true);
      INSERT INTO rules VALUES ('of the extension', false);
      ALTER EXTENSION fuzzystrmatch ADD TABLE rules`;
    await rig.fresh(schemaV1);
    await admin(rig.blue, table);
    await admin(
      rig.blue,
      `SET allow_system_table_mods = on;
       UPDATE pg_extension SET extconfig = ARRAY['rules'::regclass::oid], extcondition = ARRAY['WHERE own'] WHERE extname = 'fuzzystrmatch';
       INSERT INTO rules VALUES ('of a user')`.replaceAll(';\n       ', ';\n'),
    );
    await admin(rig.green, table);
    const rest = await beginSchema(rig.blue.access, rig.green.access);
    await rest.dispose();
    expect(
      await value(rig.green, `SELECT string_agg(name, ', ' ORDER BY name) FROM rules`).catch(() => undefined),
    ).to.equal(undefined);
    await withClient(rig.green.access, 'admin', async (client) =>
      expect(await rows(client, 'SELECT name FROM rules ORDER BY 1')).to.deep.equal([
        { name: 'of a user' },
        { name: 'of the extension' },
      ]),
    );
  });

  it('refuses a table that somebody has added to an extension: no dump has it [B7]', async () => {
    await rig.fresh(schemaV1);
    await admin(
      rig.blue,
      'CREATE EXTENSION unaccent;\nCREATE TABLE mine (a int);\nALTER EXTENSION unaccent ADD TABLE mine',
    );
    const error = await refused(beginSchema(rig.blue.access, rig.green.access));
    expect(error.found).to.include('public.mine, which belongs to unaccent');
    expect(error.todo).to.include('ALTER EXTENSION "unaccent" DROP TABLE public.mine');
  });

  it('carries publications of others [B9]', async () => {
    await rig.fresh(schemaV1);
    await admin(rig.blue, 'CREATE PUBLICATION dbz FOR ALL TABLES');
    await copy();
    expect(await value(rig.green, 'SELECT string_agg(pubname, $$, $$) FROM pg_publication')).to.equal('dbz');
  });

  it('refuses a live database that is fed from elsewhere', async () => {
    await rig.fresh(schemaV1);
    await admin(
      rig.blue,
      `CREATE SUBSCRIPTION feed CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p WITH (connect = false, slot_name = NONE)`,
    );
    const found = (await findings('error')).map((one) => one.found);
    await admin(rig.blue, 'DROP SUBSCRIPTION feed');
    expect(found).to.have.length(1);
    expect(found[0]).to.include('subscription feed brings changes from elsewhere');
  });

  it('refuses large objects [B10]', async () => {
    await rig.fresh(`${schemaV1} SELECT lo_from_bytea(0, 'large')`);
    expect((await findings('error')).map((one) => one.found)).to.deep.equal([
      '1 large objects: they are not replicated',
    ]);
  });

  it('has statistics, extended ones too [B11]', async () => {
    await rig.fresh(`${schemaV1} CREATE STATISTICS both_of (dependencies) ON id, email FROM accounts;
      CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
      CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10); INSERT INTO parts VALUES (1)`);
    await copy();
    await waitForSync(link(), { timeoutMs: 20_000 });
    await analyse(rig.green.access);
    const known = `SELECT (SELECT count(*) FROM pg_stats WHERE tablename = 'accounts') || ' ' || (SELECT count(*) FROM pg_stats_ext WHERE statistics_name = 'both_of')
      || ' ' || (SELECT count(*) FROM pg_stats WHERE tablename = 'parts') || ' ' || (SELECT reltuples FROM pg_class WHERE oid = 'accounts'::regclass)`;
    expect(await withClient(rig.green.access, 'admin', (client) => rows(client, `${known} AS known`))).to.deep.equal([
      { known: '6 1 1 500' },
    ]);
  });

  it('puts the tables of a tablespace into the ordinary one [B12]', async () => {
    await rig.fresh(schemaV1);
    await withClient(rig.blue.access, 'admin', async (client) => {
      await client.query('SET allow_in_place_tablespaces = on');
      await client.query(`CREATE TABLESPACE fast LOCATION ''`);
      await client.query(
        'ALTER TABLE settings SET TABLESPACE fast; CREATE INDEX fast_index ON counters (n) TABLESPACE fast',
      );
    });
    try {
      await copy();
      await waitForSync(link(), { timeoutMs: 20_000 });
      expect(await value(rig.green, 'SELECT count(*)::int FROM settings')).to.equal(500);
      expect(await value(rig.green, `SELECT count(*)::int FROM pg_indexes WHERE indexname = 'fast_index'`)).to.equal(1);
    } finally {
      await stopSync(link());
      await admin(rig.blue, 'DROP TABLE settings;\nDROP TABLE counters;\nDROP TABLESPACE fast');
    }
  });

  it('says before anything is copied what the other version does not have', async () => {
    await rig.fresh(schemaV1);
    await admin(
      rig.blue,
      `CREATE EXTENSION adminpack;\nCREATE EXTENSION hstore;\nSET password_encryption = md5;\nCREATE ROLE old_login LOGIN PASSWORD 'x';
ALTER DATABASE app SET work_mem = '5MB';\nALTER DATABASE app SET force_parallel_mode = off;\nALTER ROLE app SET force_parallel_mode = on`,
    );
    const errors = (await findings('error')).map((one) => one.found);
    const warnings = (await findings('warning')).map((one) => one.found);
    await admin(rig.blue, 'DROP ROLE old_login;\nALTER ROLE app RESET force_parallel_mode');
    expect(errors).to.have.members([
      'extension adminpack 2.1 is not available',
      'it has no setting force_parallel_mode, which role app has on the live side',
      'it has no setting force_parallel_mode, which the database has on the live side',
    ]);
    expect(warnings.join()).to.include('role old_login has a password of the old kind (md5)');
  });

  it('refuses an older version before anything is copied', async () => {
    await rig.fresh(schemaV1);
    const found = await preconditions(rig.green.access, rig.blue.access);
    expect(
      found.filter((one) => one.side === 'inactive' && one.severity === 'error').map((one) => one.found),
    ).to.deep.include(
      'it is PostgreSQL 15, and the live one is 17: an older version does not understand what a newer one has',
    );
    const error = await refused(beginSchema(rig.green.access, rig.blue.access));
    expect(error.found).to.equal('it is PostgreSQL 17, and the target is 15');
  });

  it('says in the words of PostgreSQL what the schema has that the new version does not', async () => {
    await rig.fresh(
      `${schemaV1} CREATE VIEW backends AS SELECT bgwriter.buffers_backend FROM pg_stat_bgwriter bgwriter`,
    );
    const error = await refused(beginSchema(rig.blue.access, rig.green.access));
    expect(error.found).to.include('column bgwriter.buffers_backend does not exist');
  });

  it('leaves nothing where a copy is cut off, and begins anew', async () => {
    await rig.fresh(`${schemaV1} CREATE TABLE big (id int PRIMARY KEY, text text);
      INSERT INTO big SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 60000) i`);
    await resetDatabase(rig.green.access, 'green', { like: rig.blue.access });
    const rest = await beginSchema(rig.blue.access, rig.green.access);
    await rest.dispose();
    const ended = new AbortController();
    const bytes: number[] = [];
    const started = startSync(rig.blue, rig.green, {
      signal: ended.signal,
      onProgress: (progress) => {
        bytes.push(progress.bytes);
        ended.abort(new Error('no more'));
      },
    });
    const error = await started.then(
      () => undefined,
      (e: unknown) => e,
    );
    expect(String(error)).to.include('no more');
    expect((await syncStatus(link())).state).to.equal('none');
    await withClient(rig.blue.access, 'admin', async (client) => {
      expect(await rows(client, 'SELECT slot_name FROM pg_replication_slots')).to.deep.equal([]);
      expect(
        await rows(client, `SELECT pid FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active'`),
      ).to.deep.equal([]);
    });
    await copy();
    await waitForSync(link(), { timeoutMs: 30_000 });
    expect(await value(rig.green, 'SELECT count(*)::int FROM big')).to.equal(60_000);
  });

  it('names the table and the kind of failure, and nothing of a row', async () => {
    await rig.fresh(schemaV1);
    await resetDatabase(rig.green.access, 'green', { like: rig.blue.access });
    const rest = await beginSchema(rig.blue.access, rig.green.access);
    await rest.dispose();
    await rig.run(rig.green, `ALTER TABLE accounts ADD CHECK (email <> 'user7@example.invalid')`);
    const error = await refused(startSync(rig.blue, rig.green));
    expect(error.doing).to.equal('copying the rows of table public.accounts');
    expect(error.found).to.include('violates a CHECK constraint').and.to.include('SQLSTATE 23514');
    expect(error.message).not.to.include('@example.invalid');
  });

  it('waits for no transaction for ever, and leaves no slot', async () => {
    await rig.fresh(schemaV1);
    await resetDatabase(rig.green.access, 'green', { like: rig.blue.access });
    const rest = await beginSchema(rig.blue.access, rig.green.access);
    await rest.dispose();
    const open = await connect(rig.blue.access, 'owner');
    const ended = new AbortController();
    try {
      await open.query(`BEGIN; UPDATE counters SET n = 1`);
      const started = startSync(rig.blue, rig.green, { signal: ended.signal });
      setTimeout(() => ended.abort(new Error('enough')), 1_500);
      const error = await started.then(
        () => undefined,
        (e: unknown) => e,
      );
      expect(String(error)).to.include('enough');
    } finally {
      await close(open);
    }
    await withClient(rig.blue.access, 'admin', async (client) =>
      expect(await rows(client, 'SELECT slot_name FROM pg_replication_slots')).to.deep.equal([]),
    );
  });
});
