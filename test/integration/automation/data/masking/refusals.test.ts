import { expect } from 'chai';
import { withClient } from '../../../../../automation/data/connect.ts';
import { maskDatabase } from '../../../../../automation/data/masking/mask.ts';
import type { Harmless, MaskRule } from '../../../../../automation/data/masking/rules.ts';
import { OperationError } from '../../../../../infra/lib/errors.ts';
import { createRig, value, type Rig } from '../rig.ts';

describe('masking', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());

  const one = <T = unknown>(sql: string): Promise<T> => value<T>(rig.blue, sql);
  /** Masks, and resolves to what was found instead; empty if it worked. */
  const refused = async (rules: MaskRule[], harmless: Harmless[] = []): Promise<string> => {
    try {
      await maskDatabase(rig.blue.access, rules, 'a secret', harmless);
      return '';
    } catch (error) {
      expect(error).to.be.instanceOf(OperationError);
      return (error as OperationError).message;
    }
  };
  const email = (table: string, column = 'email'): MaskRule => ({ table, column, with: 'email' });

  describe('lists beforehand, by name and all at once', () => {
    const untouched = async (tables: string[], work: () => Promise<string>): Promise<string> => {
      const state = () => Promise.all(tables.map((t) => one(`SELECT json_agg(t ORDER BY t.id)::text FROM ${t} t`)));
      const before = await state();
      const found = await work();
      expect(await state()).to.deep.equal(before);
      return found;
    };

    it('domains and lengths that no mask fits [K6]', async () => {
      await rig.fresh(`CREATE DOMAIN short AS varchar(12); CREATE DOMAIN corporate AS text CHECK (value LIKE '%@corp.example');
        CREATE DOMAIN list AS text[] CHECK (cardinality(value) < 3); CREATE DOMAIN always AS text NOT NULL;
        CREATE TABLE people (id int PRIMARY KEY, name text, email short, work corporate, pair list, must always);
        CREATE TABLE staff (id int PRIMARY KEY, email varchar(17));
        INSERT INTO people SELECT i, 'name ' || i, 'a' || i || '@b.c', 'a' || i || '@corp.example', ARRAY['a', 'b'], 'x' FROM generate_series(1, 50) i;`);
      const found = await untouched(['people', 'staff'], () =>
        refused([
          { table: 'people', column: 'name', with: 'name' },
          email('people'),
          email('people', 'work'),
          { table: 'people', column: 'pair', with: 'name' },
          { table: 'people', column: 'must', with: 'null' },
          email('staff'),
        ]),
      );
      expect(found).to.include('people.email: email needs 18 characters, the column takes 12');
      expect(found).to.include('staff.email: email needs 18 characters, the column takes 17');
      expect(found).to.include('people.must: it must not be null');
      expect(found).not.to.include('people.name').and.not.to.include('people.pair');
      const second = await untouched(['people'], () => refused([{ table: 'people', column: 'name', with: 'name' }, email('people', 'work')]));
      expect(second).to.include('people.work: its masked values break the constraint corporate_check').and.not.to.include('people.name');
      expect(second).not.to.include('corp.example');
    });

    it('conditions of columns and tables, also where only the last row breaks them [K6]', async () => {
      await rig.fresh(`CREATE TABLE people (id int PRIMARY KEY, email text CHECK (email ~ '@(corp|example)\\.'), code text, kind text, born date,
          CONSTRAINT coded CHECK (kind = 'open' OR code LIKE 'C-%'), CONSTRAINT living CHECK (born > '1900-06-01'));
        INSERT INTO people SELECT i, 'a' || i || '@corp.example', 'C-' || i, CASE WHEN i = 9000 THEN 'closed' ELSE 'open' END, '1990-01-01' FROM generate_series(1, 9000) i;
        INSERT INTO people VALUES (9001, NULL, 'C-1', 'open', '1900-06-02');`);
      const found = await untouched(['people'], () =>
        refused([email('people'), { table: 'people', column: 'code', with: 'hash' }, { table: 'people', column: 'born', with: 'date' }]),
      );
      expect(found).to.include('people.code: its masked values break the constraint coded');
      expect(found).to.include('people.born: its masked values break the constraint living');
      expect(found).not.to.include('people.email');
    });

    it('unique indexes over values of few characters [K6]', async () => {
      await rig.fresh(`CREATE TABLE people (id int PRIMARY KEY, name varchar(8) UNIQUE, born date NOT NULL);
        CREATE UNIQUE INDEX births ON people (born, (id % 100));
        INSERT INTO people SELECT i, 'n' || i, date '2000-01-01' + i FROM generate_series(1, 20000) i;`);
      const found = await untouched(['people'], () =>
        refused([{ table: 'people', column: 'name', with: 'name' }, { table: 'people', column: 'born', with: 'date' }]),
      );
      expect(found).to.include('people.born: its masked values break the unique index births');
    });

    it('types, keys of partitions, generated columns, arrays of arrays', async () => {
      await rig.fresh(`CREATE TYPE mood AS ENUM ('calm', 'glad'); CREATE TYPE pair AS (a text, b text);
        CREATE TABLE people (id int, region text, mood mood, two pair, text text, upper text GENERATED ALWAYS AS (upper(text)) STORED, tags text[], PRIMARY KEY (id, region)) PARTITION BY LIST (region);
        CREATE TABLE north PARTITION OF people FOR VALUES IN ('north'); INSERT INTO people VALUES (1, 'north', 'calm', ('a', 'b'), 't', DEFAULT, '{{a,b},{c,d}}');`);
      const hash = (column: string): MaskRule => ({ table: 'people', column, with: 'hash' });
      const found = await untouched(['people'], () => refused([hash('region'), hash('mood'), hash('two'), hash('upper'), { table: 'people', column: 'text', with: 'date' }, { ...hash('text'), table: 'north' }]));
      expect(found).to.include('people.region: it decides in which partition a row is');
      expect(found).to.include('people.mood: hash needs a text column, this one is mood');
      expect(found).to.include('people.two: hash needs a text column');
      expect(found).to.include('people.upper: it is computed from other columns');
      expect(found).to.include('people.text: date needs a date or timestamp, this one is text');
      expect(found).to.include('there is no table north');
      expect(await untouched(['people'], () => refused([hash('tags')]))).to.include('people.tags: its masked values break');
    });
  });

  describe('leaves nothing behind', () => {
    it('in search columns, by whatever they are filled [K7]', async () => {
      await rig.fresh(`CREATE TABLE people (id int PRIMARY KEY, name text, email text, bio text, search tsvector, made tsvector GENERATED ALWAYS AS (to_tsvector('simple', name || ' ' || email)) STORED);
        CREATE TRIGGER fill BEFORE INSERT OR UPDATE ON people FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger(search, 'pg_catalog.simple', name, email, bio);
        CREATE INDEX ON people USING gin (search); CREATE INDEX ON people (lower(email));
        INSERT INTO people SELECT i, 'Anna Miller' || i, 'user' || i || '@corp.example', 'likes tea' FROM generate_series(1, 50) i;`);
      expect(await refused([email('people'), { table: 'people', column: 'name', with: 'name' }])).to.equal('');
      const lexemes = await one<string>(`SELECT string_agg(search::text || made::text, ' ') FROM people`);
      expect(lexemes).not.to.match(/corp|miller|anna/i).and.not.to.equal('');
      expect(await one(`SELECT count(*)::int FROM people WHERE search @@ to_tsquery('simple', 'tea') AND search @@ plainto_tsquery('simple', email) AND made @@ plainto_tsquery('simple', email)`)).to.equal(50);
      expect(await one(`SELECT tgenabled FROM pg_trigger WHERE tgname = 'fill'`)).to.equal('O');
    });

    it('in search columns that a trigger of the application fills: these are refused without a rule [K7]', async () => {
      await rig.fresh(`CREATE TABLE people (id int PRIMARY KEY, email text, search tsvector NOT NULL);
        CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.search := setweight(to_tsvector('simple', NEW.email), 'A'); RETURN NEW; END $$;
        CREATE TRIGGER fill BEFORE INSERT OR UPDATE ON people FOR EACH ROW EXECUTE FUNCTION fill(); ALTER TABLE people ENABLE ALWAYS TRIGGER fill;
        INSERT INTO people VALUES (1, 'anna@corp.example');`);
      expect(await refused([email('people')])).to.include('public.people.search: it holds words of masked columns');
      expect(await refused([email('people'), { table: 'people', column: 'search', with: 'text' }])).to.equal('');
      expect(await one('SELECT search::text FROM people')).to.equal('');
      expect(await one(`SELECT tgenabled FROM pg_trigger WHERE tgname = 'fill'`)).to.equal('A');
    });

    it('in materialised views and views over masked columns [K7]', async () => {
      await rig.fresh(`CREATE TABLE people (id int PRIMARY KEY, email text NOT NULL);
        INSERT INTO people SELECT i, 'user' || i || '@corp.example' FROM generate_series(1, 500) i;
        CREATE VIEW seen AS SELECT id, email FROM people; CREATE MATERIALIZED VIEW first AS SELECT email FROM seen;
        CREATE MATERIALIZED VIEW second AS SELECT upper(email) AS email FROM first; CREATE UNIQUE INDEX ON second (email); CREATE MATERIALIZED VIEW empty AS SELECT email FROM people WITH NO DATA; ANALYZE;`);
      expect(await refused([email('people')])).to.equal('');
      for (const view of ['seen', 'first', 'second'])
        expect(await one(`SELECT count(*)::int FROM ${view} WHERE email ~* '^user-.*@example.invalid$'`), view).to.equal(500);
      expect(await one(`SELECT relispopulated FROM pg_class WHERE relname = 'empty'`)).to.equal(false);
      expect(await one(`SELECT count(*)::int FROM pg_stats WHERE most_common_vals::text || histogram_bounds::text ~* 'corp'`)).to.equal(0);
    });

    it('in copies by triggers, documents and comments: these are refused by table and column [K7]', async () => {
      const schema = `CREATE SCHEMA log; CREATE TABLE people (id int PRIMARY KEY, email text, name text);
        CREATE TABLE log.history (id int, row json); CREATE TABLE orders (id int, buyer jsonb, cc text[], note text);
        INSERT INTO people SELECT i, 'user' || i || '@corp.example', 'Anna Miller ' || i FROM generate_series(1, 300) i;`;
      const places = {
        'log.history.row': `INSERT INTO log.history SELECT id, row_to_json(p) FROM people p`,
        'public.orders.buyer': `INSERT INTO orders (buyer) VALUES ('{"deep": [{"who": "Anna Miller 77"}]}')`,
        'public.orders.cc': `INSERT INTO orders (cc) VALUES (ARRAY['x', 'USER9@corp.example'])`,
        'public.orders.note': `INSERT INTO orders (note) VALUES ('sent to <user12@corp.example>, twice.')`,
        'a comment in the catalog': `COMMENT ON TABLE orders IS 'ask user5@corp.example'`,
      };
      for (const [place, sql] of Object.entries(places)) {
        await rig.fresh(`${schema} ${sql}`);
        const found = await refused([email('people'), { table: 'people', column: 'name', with: 'name' }]);
        expect(found, place).to.include(`${place}: it holds values of public.people.`).and.not.to.match(/corp|Miller/);
        expect(await one('SELECT email FROM people WHERE id = 1')).to.equal('user1@corp.example');
      }
      await rig.fresh(`${schema} ${places['log.history.row']}; ${places['public.orders.note']}`);
      const rules: MaskRule[] = [
        email('people'),
        { table: 'people', column: 'name', with: 'name' },
        { table: 'log.history', column: 'row', path: 'email', with: 'email' },
        { table: 'log.history', column: 'row', path: 'name', with: 'name' },
      ];
      expect(await refused(rules, [{ table: 'orders', column: 'note', reason: 'one of a test' }])).to.equal('');
      expect(await one(`SELECT count(*)::int FROM people p JOIN log.history h USING (id) WHERE h.row ->> 'email' = p.email AND h.row ->> 'name' = p.name`)).to.equal(300);
    });

    it('in large objects: these are refused until they are declared harmless [K7]', async () => {
      await rig.fresh(`CREATE TABLE people (id int PRIMARY KEY, email text); INSERT INTO people VALUES (1, 'anna@corp.example'); SELECT lo_from_bytea(0, 'x');`);
      expect(await refused([email('people')])).to.include('1 large objects: they cannot be masked');
      expect(await refused([email('people')], [{ table: 'pg_largeobject', column: 'data', reason: 'logos of the shop' }])).to.equal('');
    });

    it('on the pages of tables, and keeps triggers, policies, rights, comments and defaults [K7]', async () => {
      await rig.fresh(`CREATE TABLE plain (id int PRIMARY KEY, email text DEFAULT 'none' NOT NULL, UNIQUE (email));
        CREATE TABLE busy (id int PRIMARY KEY, email text REFERENCES plain (email) ON DELETE CASCADE DEFERRABLE, big text, n int GENERATED ALWAYS AS (length(email)) STORED);
        CREATE TABLE trail (old text); CREATE FUNCTION copy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO trail VALUES (OLD.email); RETURN NEW; END $$;
        CREATE TRIGGER copy BEFORE UPDATE OF email ON busy FOR EACH ROW EXECUTE FUNCTION copy(); ALTER TABLE busy ENABLE ALWAYS TRIGGER copy;
        CREATE RULE also AS ON UPDATE TO busy DO ALSO INSERT INTO trail VALUES (OLD.email); ALTER TABLE busy ENABLE ALWAYS RULE also;
        ALTER TABLE busy ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON busy USING (email = current_user); 
        COMMENT ON CONSTRAINT busy_email_fkey ON busy IS 'kept'; COMMENT ON COLUMN plain.email IS 'kept too'; GRANT SELECT (email) ON plain TO app_reader;
        ALTER TABLE plain REPLICA IDENTITY USING INDEX plain_email_key;
        INSERT INTO plain SELECT i, 'user' || i || '@corp.example' FROM generate_series(1, 300) i; INSERT INTO busy SELECT id, email, repeat(md5(id::text), 200) FROM plain; ALTER TABLE busy FORCE ROW LEVEL SECURITY;`);
      const keys = `SELECT string_agg(conname || pg_get_constraintdef(oid) || coalesce(obj_description(oid, 'pg_constraint'), ''), ' ' ORDER BY conname) FROM pg_constraint WHERE connamespace = 'public'::regnamespace`;
      const before = await one(keys);
      const same = (table: string): MaskRule => email(table);
      expect(await refused([same('plain'), same('busy')])).to.equal('');
      expect(await one(keys)).to.equal(before);
      expect(await one('SELECT count(*)::int FROM trail')).to.equal(0);
      expect(await withClient(rig.blue.access, 'admin', async (c) => (await c.query(`SELECT count(*)::int AS n FROM busy b JOIN plain USING (email) WHERE b.n = 37`)).rows[0] as unknown)).to.deep.equal({ n: 300 });
      expect(await one(`SELECT tgenabled::text || ev_enabled::text || relreplident::text FROM pg_trigger, pg_rewrite, pg_class WHERE tgname = 'copy' AND rulename = 'also' AND relname = 'plain'`)).to.equal('AAi');
      expect(await one(`SELECT col_description('plain'::regclass, 2)`)).to.equal('kept too');
      expect(await one(`SELECT has_column_privilege('app', 'plain', 'email', 'SELECT')`)).to.equal(true);
      const bytes = await withClient(rig.blue.access, 'admin', async (c) => {
        const files = ['plain', 'busy', 'plain_email_key', 'pg_catalog.pg_statistic'];
        const found = await Promise.all(files.map((f) => c.query<{ hit: boolean }>(`SELECT position('@corp.example'::bytea in pg_read_binary_file(pg_relation_filepath('${f}'))) > 0 AS hit`)));
        return found.map(({ rows }) => rows[0]?.hit);
      });
      expect(bytes).to.deep.equal([false, false, false, false]);
    });
  });

  describe('finds tables', () => {
    it('by schema where several have the name, and refuses a name that does not tell [G2]', async () => {
      await rig.fresh(`CREATE SCHEMA crm; CREATE SCHEMA "Old Shop"; CREATE TABLE people (id int, email text); CREATE TABLE crm.people (id int, email text); CREATE TABLE "Old Shop"."People" (id int, "E-Mail" text);
        INSERT INTO people VALUES (1, 'anna@corp.example'); INSERT INTO crm.people VALUES (1, 'anna@corp.example'); INSERT INTO "Old Shop"."People" VALUES (1, 'anna@corp.example');`);
      expect(await refused([email('people')])).to.include('people.email: crm.people and public.people have this name; write one of them');
      expect(await refused([email('public.people')])).to.include('crm.people.email: it holds values of public.people.email');
      expect(await refused([email('public.people'), email('crm.people'), email('People', 'E-Mail')])).to.equal('');
      expect(await one(`SELECT (SELECT email FROM people) = (SELECT email FROM crm.people) AND (SELECT email FROM people) = (SELECT "E-Mail" FROM "Old Shop"."People") AND (SELECT email FROM people) LIKE '%invalid'`)).to.equal(true);
    });

    it('with their partitions and the tables that inherit from them [G2]', async () => {
      await rig.fresh(`CREATE TABLE people (id int, at date, email text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at); CREATE INDEX ON people (email);
        CREATE TABLE y25 (email text, id int NOT NULL, at date NOT NULL); ALTER TABLE people ATTACH PARTITION y25 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
        CREATE TABLE y26 PARTITION OF people FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY RANGE (at); CREATE TABLE y26h PARTITION OF y26 DEFAULT;
        CREATE TABLE party (id int, email text); CREATE SCHEMA hr; CREATE TABLE hr.staff (boss int) INHERITS (party); CREATE TABLE hr.chief () INHERITS (hr.staff);
        INSERT INTO people SELECT i, date '2025-01-01' + i, 'user' || i || '@corp.example' FROM generate_series(1, 700) i;
        INSERT INTO party VALUES (1, 'a1@corp.example'); INSERT INTO hr.staff VALUES (2, 'a2@corp.example'); INSERT INTO hr.chief VALUES (3, 'a3@corp.example'); ANALYZE;`);
      expect(await refused([email('people'), email('party')])).to.equal('');
      expect(await one(`SELECT count(*)::int FROM people WHERE email LIKE '%@example.invalid'`)).to.equal(700);
      expect(await one(`SELECT count(*)::int FROM party WHERE email LIKE '%@example.invalid'`)).to.equal(3);
      expect(await one(`SELECT count(*)::int FROM pg_stats WHERE most_common_vals::text ~ 'corp' OR histogram_bounds::text ~ 'corp'`)).to.equal(0);
    });
  });

  it('minds no setting that the owner made for the application', async () => {
    await rig.fresh(`CREATE TABLE people (id int PRIMARY KEY, email text NOT NULL UNIQUE, born date); INSERT INTO people SELECT i, 'user' || i || '@corp.example', '2000-12-01' FROM generate_series(1, 100) i;`);
    await rig.run(
      rig.blue,
      ['default_transaction_read_only = on', `lock_timeout = '1ms'`, `statement_timeout = '1ms'`, 'row_security = off', `search_path = ''`, `DateStyle = 'SQL, DMY'`, `default_toast_compression = 'pglz'`, 'standard_conforming_strings = off', `idle_in_transaction_session_timeout = '1ms'`]
        .map((s) => `ALTER DATABASE app SET ${s};`)
        .join(' '),
    );
    expect(await refused([email('people'), { table: 'people', column: 'born', with: 'date' }])).to.equal('');
    expect(await withClient(rig.blue.access, 'admin', async (c) => (await c.query(`SELECT count(DISTINCT email)::int AS n FROM public.people WHERE email LIKE '%@example.invalid' AND born < '2000-12-01'::date AND born > '1999-11-01'::date`)).rows[0] as unknown)).to.deep.equal({ n: 100 });
  });
});
