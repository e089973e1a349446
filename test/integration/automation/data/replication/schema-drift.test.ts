import { expect } from 'chai';
import { withClient } from '../../../../../automation/data/connect.ts';
import { linkBetween } from '../../../../../automation/data/link.ts';
import { preconditions } from '../../../../../automation/data/publication/preconditions.ts';
import { replayChanges } from '../../../../../automation/data/replication/replay.ts';
import { describeDrift, schemaDrift } from '../../../../../automation/data/replication/schema-drift.ts';
import { startSync, stopSync, syncStatus, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { createRig, expand, schemaV1, value, type Rig } from '../rig.ts';

const shop = `${schemaV1}
  CREATE SCHEMA shop;
  CREATE FUNCTION shop.price(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
  CREATE PROCEDURE shop.close_day() LANGUAGE plpgsql AS 'BEGIN NULL; END';
  CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
  CREATE TRIGGER touch BEFORE UPDATE ON settings FOR EACH ROW EXECUTE FUNCTION shop.touch();
  CREATE VIEW shop.open AS SELECT id, email FROM accounts;
  CREATE DOMAIN shop.code AS text CHECK (VALUE ~ '^[a-z]+$');
  CREATE TABLE shop.m (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
  CREATE TABLE shop.m_1 PARTITION OF shop.m FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
  CREATE TABLE shop.m_2 PARTITION OF shop.m FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
  INSERT INTO shop.m VALUES (1, '2026-01-01'), (2, '2026-02-01');
  CREATE STATISTICS shop.together ON account, name FROM settings;`;

/** What an owner does on the live side while the other one follows, what is said of it, and whether it is repeated there. */
const changes: { id: string; what: string; sql: string; says: string; repeated: boolean }[] = [
  {
    id: 'C1',
    what: 'the body of a function',
    sql: `CREATE OR REPLACE FUNCTION shop.price(int) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1'`,
    says: 'function shop.price(integer) was replaced on blue',
    repeated: true,
  },
  {
    id: 'C1',
    what: 'the body of a procedure, of a trigger function, and the columns of a view',
    sql: `CREATE OR REPLACE PROCEDURE shop.close_day() LANGUAGE plpgsql AS 'BEGIN PERFORM 1; END';
      CREATE OR REPLACE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.value := 1; RETURN NEW; END';
      CREATE OR REPLACE VIEW shop.open AS SELECT id, email, balance FROM accounts WHERE balance > 0`,
    says:
      'column shop.open.balance was added on blue, function shop.touch() was replaced on blue, ' +
      'procedure shop.close_day() was replaced on blue, view shop.open was replaced on blue',
    repeated: true,
  },
  {
    id: 'C1',
    what: 'the result of a function, which cannot be replaced',
    sql: `DROP FUNCTION shop.price(int); CREATE FUNCTION shop.price(int) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'`,
    says: 'function shop.price(integer) was replaced on blue',
    repeated: false,
  },
  {
    id: 'C1',
    what: 'a trigger',
    sql: 'ALTER TABLE settings DISABLE TRIGGER touch',
    says: 'trigger touch on public.settings was changed on blue',
    repeated: false,
  },
  {
    id: 'C2',
    what: 'a value at the end of an enum',
    sql: `ALTER TYPE mood ADD VALUE 'it''s "fine"'`,
    says: 'type public.mood was changed on blue',
    repeated: true,
  },
  {
    id: 'C2',
    what: 'a value in the middle of an enum',
    sql: `ALTER TYPE mood ADD VALUE 'sad' BEFORE 'glad'`,
    says: 'type public.mood was changed on blue',
    repeated: true,
  },
  {
    id: 'C2',
    what: 'the CHECK of a domain',
    sql: `ALTER DOMAIN shop.code DROP CONSTRAINT code_check; ALTER DOMAIN shop.code ADD CONSTRAINT code_check CHECK (VALUE ~ '^[a-z0-9]+$')`,
    says: 'constraint shop.code.code_check was changed on blue',
    repeated: false,
  },
  {
    id: 'C2',
    what: 'rights on a table, on a column, on a function, and a setting of a role',
    sql: `GRANT TRUNCATE ON settings TO app_writer; GRANT SELECT (email), REFERENCES (id) ON accounts TO app_reader;
      REVOKE EXECUTE ON FUNCTION shop.price(int) FROM PUBLIC; ALTER ROLE owner IN DATABASE app SET search_path = shop, public`,
    says:
      'column grant ON TABLE public.accounts TO app_reader was added on blue, grant ON TABLE public.settings TO app_writer was changed on blue, ' +
      'missing grant ON ROUTINE shop.price(integer) TO PUBLIC was added on blue, setting search_path of role owner in this database was added on blue',
    repeated: true,
  },
  {
    id: 'C2',
    what: 'a right that is taken',
    sql: 'REVOKE DELETE ON settings FROM app_writer',
    says: 'grant ON TABLE public.settings TO app_writer was changed on blue',
    repeated: true,
  },
  {
    id: 'C2',
    what: 'what was said of a table',
    sql: `COMMENT ON TABLE settings IS 'it''s said'; COMMENT ON COLUMN settings.name IS 'a name'`,
    says: 'comment on table column public.settings.name was added on blue, comment on table public.settings was added on blue',
    repeated: true,
  },
  {
    id: 'C2',
    what: 'what was said of a key, a trigger and statistics',
    sql: `COMMENT ON CONSTRAINT settings_pkey ON settings IS 'the key'; COMMENT ON TRIGGER touch ON settings IS 'touches'; COMMENT ON STATISTICS shop.together IS 'both'`,
    says: 'comment on statistics object shop.together was added on blue, comment on table constraint settings_pkey on public.settings was added on blue, comment on trigger touch on public.settings was added on blue',
    repeated: true,
  },
  {
    id: 'C2',
    what: 'the default of a column, a policy and statistics',
    sql: `ALTER TABLE settings ALTER value SET DEFAULT 'x'; CREATE POLICY mine ON settings USING (true); DROP STATISTICS shop.together`,
    says: 'column public.settings.value was changed on blue, policy mine on public.settings was added on blue, statistics shop.together was dropped on blue',
    repeated: false,
  },
  {
    id: 'C5',
    what: 'a partition that is dropped',
    sql: 'DROP TABLE shop.m_1',
    says: 'table shop.m_1 was dropped on blue',
    repeated: true,
  },
  {
    id: 'C5',
    what: 'a partition that is detached',
    sql: 'ALTER TABLE shop.m DETACH PARTITION shop.m_1',
    says: 'table shop.m_1 was changed on blue',
    repeated: false,
  },
];

const beginning = (text: string): RegExp => new RegExp(`^${text.replace(/[.()]/g, '\\$&')}`);

describe('the schema of both sides', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());
  const link = () => linkBetween(rig.blue, rig.green);
  const admin = (sql: string, side = rig.blue) => withClient(side.access, 'admin', (client) => client.query(sql));
  const drift = async () => describeDrift(await schemaDrift(link()));
  const following = async (schema = shop, migration?: string) => {
    await rig.fresh(schema);
    await expand(rig, migration);
    await startSync(rig.blue, rig.green);
    await waitForSync(link(), { timeoutMs: 20_000 });
  };
  afterEach(() => stopSync(link()));

  it('is the same, but for what the expand migrations did', async () => {
    await following();
    expect(await drift()).to.equal('');
    await rig.run(rig.green, `CREATE OR REPLACE FUNCTION shop.price(int) RETURNS int LANGUAGE sql AS 'SELECT 0'`);
    expect(await drift()).to.equal('function shop.price(integer) was replaced on green');
  });

  for (const { id, what, sql, says, repeated } of changes) {
    it(`names ${what}, and ${repeated ? 'repeats that' : 'does not repeat that'} [${id}]`, async () => {
      await following();
      await rig.run(rig.blue, sql).catch(() => admin(sql));
      expect(await drift(), 'before').to.match(beginning(says));
      const told: string[] = [];
      const { drifts, objects } = await replayChanges(link(), async (safe, replay) => {
        told.push(describeDrift(safe));
        await replay();
      });
      expect(objects).to.be.greaterThan(50);
      expect(describeDrift(drifts), 'after').to.match(repeated ? /^$/ : beginning(says));
      if (repeated) expect(told).to.have.length.greaterThan(0);
    });
  }

  it('does not undo a migration: what both have changed is named, and not repeated [C1]', async () => {
    const replaced = (by: number) =>
      `CREATE OR REPLACE FUNCTION shop.price(int) RETURNS int LANGUAGE sql AS 'SELECT ${by}'`;
    await following(shop, replaced(7));
    await rig.run(rig.blue, replaced(8));
    const { drifts } = await replayChanges(link(), (_, replay) => replay());
    expect(describeDrift(drifts)).to.equal('function shop.price(integer) was replaced on blue');
    expect(await value(rig.green, 'SELECT shop.price(1)')).to.equal(7);
  });

  it('names a table with a serial key that the live side has got, at the next look [C3]', async () => {
    await following();
    await rig.run(rig.blue, 'CREATE TABLE shop.m_3 (id serial PRIMARY KEY); INSERT INTO shop.m_3 DEFAULT VALUES');
    for (let look = 0; look < 2; look += 1)
      expect((await syncStatus(link())).problem).to.match(/table shop\.m_3 was added on blue/);
    const error = await waitForSync(link(), { timeoutMs: 20_000 }).catch((e: Error) => e.message);
    expect(error).to.match(/table shop\.m_3 was added on blue/);
  });

  it('counts the keys of neither side’s event triggers, which are quiet on the one that follows [C6]', async () => {
    const log = `${shop}
      CREATE TABLE ddl_log (id serial PRIMARY KEY, tag text NOT NULL);
      CREATE FUNCTION log_ddl() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN INSERT INTO public.ddl_log (tag) VALUES (tg_tag); END';`;
    await rig.fresh(log);
    await admin('CREATE EVENT TRIGGER log_ddl ON ddl_command_end EXECUTE FUNCTION log_ddl()');
    await expand(rig);
    await startSync(rig.blue, rig.green);
    await rig.run(rig.green, 'ALTER TABLE entries ADD COLUMN later int');
    await waitForSync(link(), { timeoutMs: 20_000 });
    await rig.run(rig.blue, `INSERT INTO ddl_log (tag) VALUES ('by hand')`);
    await waitForSync(link(), { timeoutMs: 20_000 });
    const ids = "SELECT string_agg(id || tag, ',' ORDER BY id) FROM ddl_log";
    expect(await value(rig.green, ids)).to.equal(await value(rig.blue, ids));
    expect(await value(rig.blue, `SELECT evtenabled::text FROM pg_event_trigger`)).to.equal('O');
  });

  it('repeats the new password of a role, and says no more of it than whose it is [C2]', async () => {
    await admin(`CREATE ROLE metabase LOGIN PASSWORD 'old'; CREATE ROLE nameless LOGIN PASSWORD 'old'`);
    try {
      await rig.fresh(shop);
      await admin('GRANT CONNECT ON DATABASE app TO metabase');
      await expand(rig);
      await startSync(rig.blue, rig.green);
      await admin(`ALTER ROLE metabase PASSWORD 'it''s \\ new'; ALTER ROLE nameless PASSWORD NULL`);
      const said: string[] = [];
      const { drifts } = await replayChanges(link(), (safe, replay) => {
        said.push(describeDrift(safe));
        return replay();
      });
      expect(drifts).to.deep.equal([]);
      expect(said).to.deep.equal([
        'password of role metabase was changed on blue, password of role nameless was changed on blue',
      ]);
      const metabase = { user: 'metabase', password: String.raw`it's \ new` };
      const user = await withClient({ ...rig.green.access, app: metabase }, 'app', (client) =>
        client.query<{ user: string }>('SELECT current_user AS user'),
      );
      expect(user.rows).to.deep.equal([{ user: 'metabase' }]);
    } finally {
      for (const side of [rig.blue, rig.green])
        await admin('DROP OWNED BY metabase; DROP ROLE metabase, nameless', side);
    }
  });

  it('repeats nothing of an extension that only the live side has, and names it [C1]', async () => {
    await rig.fresh(shop);
    await expand(rig);
    await startSync(rig.blue, rig.green);
    await admin('CREATE EXTENSION citext');
    const { drifts } = await replayChanges(link(), (_, replay) => replay());
    expect(describeDrift(drifts.filter(({ kind }) => kind === 'extension'))).to.equal(
      'extension citext was added on blue',
    );
    const functions = `SELECT count(*)::int FROM pg_proc WHERE proname ~ 'citext'`;
    expect(await value(rig.green, functions)).to.equal(0);
  });

  it('brings publications of others along, and names their slots [B9]', async () => {
    await rig.fresh(shop);
    await admin('CREATE PUBLICATION dbz FOR TABLE accounts (id, email) WHERE (id > 3)');
    await admin(`SELECT pg_create_logical_replication_slot('dbz', 'pgoutput')`);
    try {
      await expand(rig);
      await startSync(rig.blue, rig.green);
      expect(await drift()).to.equal('');
      const found = await preconditions(rig.blue.access, undefined);
      expect(found.map((f) => f.found).join('; ')).to.include('replication slot dbz');
      await admin('DROP PUBLICATION dbz', rig.green);
      expect(await drift()).to.equal('publication dbz was dropped on green');
    } finally {
      await admin(`SELECT pg_drop_replication_slot('dbz')`);
    }
  });
});
