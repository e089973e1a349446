import { expect } from 'chai';
import { withClient } from '../../../../../automation/data/connect.ts';
import type { Harmless, MaskRule } from '../../../../../automation/data/masking/rules.ts';
import { createRig, value, type Rig } from '../rig.ts';
import { whyNotMasked } from './why-not-masked.ts';

describe('masking leaves nothing behind', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());

  const one = <T = unknown>(sql: string): Promise<T> => value<T>(rig.blue, sql);
  const refused = (rules: MaskRule[], harmless?: Harmless[]): Promise<string> => whyNotMasked(rig, rules, harmless);
  const email = (table: string, column = 'email'): MaskRule => ({ table, column, with: 'email' });

  it('in search columns, by whatever they are filled [K7]', async () => {
    await rig.fresh(`CREATE TABLE people (id int PRIMARY KEY, name text, email text, bio text, search tsvector, made tsvector GENERATED ALWAYS AS (to_tsvector('simple', name || ' ' || email)) STORED);
      CREATE TRIGGER fill BEFORE INSERT OR UPDATE ON people FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger(search, 'pg_catalog.simple', name, email, bio);
      CREATE INDEX ON people USING gin (search); CREATE INDEX ON people (lower(email));
      INSERT INTO people SELECT i, 'Anna Miller' || i, 'user' || i || '@corp.example', 'likes tea' FROM generate_series(1, 50) i;`);
    expect(await refused([email('people'), { table: 'people', column: 'name', with: 'name' }])).to.equal('');
    const lexemes = await one<string>(`SELECT string_agg(search::text || made::text, ' ') FROM people`);
    expect(lexemes)
      .not.to.match(/corp|miller|'anna'/i)
      .and.not.to.equal('');
    expect(
      await one(
        `SELECT count(*)::int FROM people WHERE search @@ to_tsquery('simple', 'tea') AND search @@ plainto_tsquery('simple', email) AND made @@ plainto_tsquery('simple', email)`,
      ),
    ).to.equal(50);
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
      expect(await one(`SELECT count(*)::int FROM ${view} WHERE email ~* '^user-.*@example.invalid$'`), view).to.equal(
        500,
      );
    expect(await one(`SELECT relispopulated FROM pg_class WHERE relname = 'empty'`)).to.equal(false);
    expect(
      await one(`SELECT count(*)::int FROM pg_stats WHERE most_common_vals::text || histogram_bounds::text ~* 'corp'`),
    ).to.equal(0);
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
      expect(found, place)
        .to.include(`${place}: it holds values of public.people.`)
        .and.not.to.match(/corp|Miller/);
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
    expect(
      await one(
        `SELECT count(*)::int FROM people p JOIN log.history h USING (id) WHERE h.row ->> 'email' = p.email AND h.row ->> 'name' = p.name`,
      ),
    ).to.equal(300);
  });

  it('and takes neither phrases, short words, numbers of its own nor other kinds of text for copies [K7]', async () => {
    await rig.fresh(`CREATE TABLE people (id int PRIMARY KEY, name text, said text, pin text, meta jsonb); CREATE TABLE texts (id int, body text, name text, n bigint);
      INSERT INTO people SELECT i, (ARRAY['Rose', 'Penny', 'Anna Miller'])[1 + i % 3], CASE WHEN i % 2 = 0 THEN 'How can I help you today?' ELSE 'I would like ' || i END, lpad(i::text, 4, '0'), jsonb_build_object('n', 1000000 + i, 's', 'text ' || i) FROM generate_series(1, 300) i;
      INSERT INTO texts SELECT i, 'How can I help you today?', (ARRAY['Rose', 'Penny', 'Anna'])[1 + i % 3], i FROM generate_series(1, 300) i;`);
    const rules: MaskRule[] = [
      { table: 'people', column: 'name', with: 'name' },
      { table: 'people', column: 'said', with: 'text' },
      { table: 'people', column: 'pin', with: 'digits' },
      { table: 'people', column: 'meta', with: 'hash' },
    ];
    expect(await refused(rules)).to.equal('');
    await rig.run(rig.blue, `INSERT INTO texts (body) VALUES ('Anna Miller')`);
    expect(await refused(rules)).to.equal('');
    await rig.fresh(`CREATE TABLE people (id int PRIMARY KEY, said text); CREATE TABLE log (line text);
      INSERT INTO people SELECT i, 'My address is street ' || i FROM generate_series(1, 300) i; INSERT INTO log SELECT said FROM people;`);
    expect(await refused([rules[1] as MaskRule])).to.include('public.log.line: it holds values of public.people.said');
  });

  it('in large objects: these are refused until they are declared harmless [K7]', async () => {
    await rig.fresh(
      `CREATE TABLE people (id int PRIMARY KEY, email text); INSERT INTO people VALUES (1, 'anna@corp.example'); SELECT lo_from_bytea(0, 'x');`,
    );
    expect(await refused([email('people')])).to.include('1 large objects: they cannot be masked');
    expect(
      await refused([email('people')], [{ table: 'pg_largeobject', column: 'data', reason: 'logos of the shop' }]),
    ).to.equal('');
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
    expect(
      await withClient(
        rig.blue.access,
        'admin',
        async (c) =>
          (await c.query(`SELECT count(*)::int AS n FROM busy b JOIN plain USING (email) WHERE b.n = 37`))
            .rows[0] as unknown,
      ),
    ).to.deep.equal({ n: 300 });
    expect(
      await one(
        `SELECT tgenabled::text || ev_enabled::text || relreplident::text FROM pg_trigger, pg_rewrite, pg_class WHERE tgname = 'copy' AND rulename = 'also' AND relname = 'plain'`,
      ),
    ).to.equal('AAi');
    expect(await one(`SELECT col_description('plain'::regclass, 2)`)).to.equal('kept too');
    expect(await one(`SELECT has_column_privilege('app', 'plain', 'email', 'SELECT')`)).to.equal(true);
    const bytes = await withClient(rig.blue.access, 'admin', async (c) => {
      const files = ['plain', 'busy', 'plain_email_key', 'pg_catalog.pg_statistic'];
      const found: unknown[] = [];
      for (const f of files) {
        const { rows } = await c.query<{ hit: boolean }>(
          `SELECT position('@corp.example'::bytea in pg_read_binary_file(pg_relation_filepath('${f}'))) > 0 AS hit`,
        );
        found.push(rows[0]?.hit);
      }
      return found;
    });
    expect(bytes).to.deep.equal([false, false, false, false]);
  });
});
