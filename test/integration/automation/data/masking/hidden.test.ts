import { expect } from 'chai';
import { classify, describeSuspect } from '../../../../../automation/data/masking/classify.ts';
import { maskDatabase } from '../../../../../automation/data/masking/mask.ts';
import type { MaskRule } from '../../../../../automation/data/masking/rules.ts';
import { withClient } from '../../../../../automation/data/connect.ts';
import { createRig, value, type Rig } from '../rig.ts';
import { whyNotMasked } from './why-not-masked.ts';

describe('personal data in places that are easily overlooked', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());

  const one = <T = unknown>(sql: string): Promise<T> => value<T>(rig.blue, sql);
  const asAdmin = (sql: string) =>
    withClient(rig.blue.access, 'admin', async (client) => void (await client.query(sql)));
  const suspects = async (rules: MaskRule[] = []): Promise<string[]> =>
    (await classify(rig.blue.access, rules, [])).suspects.map(describeSuspect);
  const refused = (rules: MaskRule[]): Promise<string> => whyNotMasked(rig, rules);
  const people = `CREATE TABLE people (id int PRIMARY KEY, email text, name text);
    INSERT INTO people SELECT i, 'user' || i || '@corp.example', 'Annabel Millerson' || chr(64 + i) FROM generate_series(1, 20) i;`;
  const email: MaskRule = { table: 'people', column: 'email', with: 'email' };

  it('under keys with dots: one path means both forms, for the mask and for the check [K7]', async () => {
    await rig.fresh(`CREATE TABLE events (id int, data jsonb); INSERT INTO events VALUES (1, '{"user.email": "anna@corp.de", "user": {"email": "anna@corp.de"}, "a.b.c": {"user.email": "bob@corp.de"}}');
      CREATE TABLE copies (v text); INSERT INTO copies VALUES ('x')`);
    const rules: MaskRule[] = ['user.email', 'a.b.c'].map((path) => ({
      table: 'events',
      column: 'data',
      path,
      with: 'email',
    }));
    expect(await suspects([rules[0] as MaskRule])).to.deep.equal([
      'public.events.data at a.b.c.user.email: looks like an e-mail address by its name',
    ]);
    expect(await suspects([{ ...rules[0], path: 'user' } as MaskRule])).to.have.length(2);
    expect(await suspects(rules)).to.deep.equal([]);
    await rig.run(rig.blue, `INSERT INTO copies VALUES ('sent to bob@corp.de')`);
    expect(await refused(rules)).to.include('public.copies.v: it holds values of public.events.data');
    await rig.run(rig.blue, 'TRUNCATE copies');
    expect(await refused(rules)).to.equal('');
    expect(await one('SELECT data::text FROM events')).not.to.match(/corp/);
    expect(await one(`SELECT data ->> 'user.email' = data #>> '{user,email}' FROM events`)).to.equal(true);
  });

  it('in the keys of a document: found, never shown, and masked by a rule above them [K7]', async () => {
    await rig.fresh(
      `CREATE TABLE seats (id int, who jsonb, plan jsonb); INSERT INTO seats VALUES (1, '{"anna@corp.de": {"phone": "1"}, "": 5}', '{"rows": [{"bob@corp.de": "A1"}]}')`,
    );
    const found = [
      'public.seats.who (its keys): looks like an e-mail address by its values',
      'public.seats.who at *.phone: looks like a phone number by its name',
      'public.seats.plan at rows (its keys): looks like an e-mail address by its values',
    ];
    expect(await suspects()).to.deep.equal(found);
    const rules: MaskRule[] = [
      { table: 'seats', column: 'who', path: '*.phone', with: 'digits' },
      { table: 'seats', column: 'plan', path: 'rows', with: 'text' },
    ];
    expect(await suspects(rules)).to.deep.equal([found[0]]);
    expect(await refused([{ table: 'seats', column: 'who', with: 'hash' }, rules[1] as MaskRule])).to.equal('');
    expect(await one('SELECT who::text || plan::text FROM seats')).not.to.match(/corp/);
    expect(await one(`SELECT who ->> '' FROM seats`)).to.equal('5');
    expect(await one(`SELECT jsonb_object_keys(plan #> '{rows,0}') FROM seats`)).to.match(/^user-.*@example\.invalid$/);
  });

  it('in composite values, their arrays, and hstore: found by the names of their parts', async () => {
    await rig.fresh('SELECT 1');
    await asAdmin(`CREATE EXTENSION hstore; CREATE TYPE contact AS (mail text, street text, n int); CREATE DOMAIN reach AS contact;
      CREATE TABLE shops (id int, c contact, many contact[], d reach, h hstore, plain int[]); INSERT INTO shops VALUES (1, ROW('', 'x', 1), ARRAY[ROW('a@corp.de', NULL, 1)::contact], ROW('', NULL, 2), 'mobile=>1', '{1}')`);
    expect((await suspects()).map((text) => text.split(':')[0])).to.deep.equal([
      'public.shops.c at mail',
      'public.shops.c at street',
      'public.shops.many at mail',
      'public.shops.d at mail',
      'public.shops.h at mobile',
    ]);
  });

  it('in search tables of masked ones, in enum labels and in defaults: these are refused [K7]', async () => {
    const name: MaskRule = { table: 'people', column: 'name', with: 'name' };
    for (const references of ['REFERENCES people', '']) {
      await rig.fresh(
        `${people} CREATE TABLE search (id int ${references}, doc tsvector); INSERT INTO search SELECT id, to_tsvector('simple', name) FROM people`,
      );
      expect(await refused([name]), references).to.include('public.search.doc: it holds values of public.people.name');
    }
    await rig.fresh(
      `${people} CREATE TABLE search (doc tsvector); INSERT INTO search VALUES (to_tsvector('simple', 'annabel plays the millersona, millersonb and millersonc'))`,
    );
    expect(await refused([name])).to.equal('');
    await rig.fresh(
      `${people} CREATE TYPE owner_of AS ENUM ('user1@corp.example'); CREATE TABLE keys (o owner_of, d text DEFAULT 'user2@corp.example'); INSERT INTO keys VALUES ('user1@corp.example', '')`,
    );
    expect(await refused([email]))
      .to.include('public.keys.o: it holds values')
      .and.to.include('an enum label of public.keys.o: it holds values of public.people.email')
      .and.to.include('the default of public.keys.d: it holds values of public.people.email');
    expect(
      await whyNotMasked(
        rig,
        [email],
        ['o', 'd'].map((column) => ({ table: 'keys', column, reason: 'its own' })),
      ),
    ).to.equal('');
  });

  it('not in words that an application says by itself: roles, articles, a small team', async () => {
    const name: MaskRule = { table: 'people', column: 'name', with: 'name' };
    const ordinary = `CREATE TYPE role AS ENUM ('member'); CREATE TABLE seats (r role); INSERT INTO seats VALUES ('member');
      CREATE TABLE people (id int PRIMARY KEY, email text, name text);`;
    await rig.fresh(
      `${ordinary} INSERT INTO people VALUES (1, '', 'Member'); CREATE TABLE docs (doc tsvector); INSERT INTO docs VALUES (to_tsvector('simple', 'every member'))`,
    );
    expect(await refused([name])).to.equal('');
    await rig.fresh(
      `${ordinary} INSERT INTO people SELECT i, '', 'Given' || chr(96 + i % 26) || chr(97 + i / 26) || CASE i WHEN 1 THEN ' Green' WHEN 2 THEN ' King' WHEN 3 THEN ' Rose' ELSE '' END FROM generate_series(1, 40) i;
       CREATE TABLE posts (author int REFERENCES people, doc tsvector); INSERT INTO posts VALUES (1, to_tsvector('simple', 'the king has a green rose'))`,
    );
    expect(await refused([name])).to.equal('');
  });

  it('in digits of another script, or letters in place of digits: nothing stays as it was', async () => {
    await rig.fresh(
      `CREATE TABLE t (passport text, phone text); INSERT INTO t VALUES ('ABCDEF', U&'\\FF10\\FF19\\FF10\\FF11')`,
    );
    expect(await refused(['passport', 'phone'].map((column) => ({ table: 't', column, with: 'digits' })))).to.equal('');
    expect(await one(`SELECT passport !~ 'ABC' AND length(passport) = 6 AND phone ~ '^[0-9a-f]{4}$' FROM t`)).to.equal(
      true,
    );
  });

  it('in hardware addresses: as text and as a type of their own', async () => {
    await rig.fresh(
      `CREATE TABLE devices (id int, hw macaddr UNIQUE, wide macaddr8, label text); INSERT INTO devices VALUES (1, '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', '08-00-2B-01-02-03')`,
    );
    expect((await suspects()).map((text) => text.split('.')[2])).to.deep.equal(
      ['hw', 'wide']
        .map((c) => `${c}: looks like a hardware address by its name`)
        .concat('label: looks like a hardware address by its values'),
    );
    expect(await refused(['hw', 'wide'].map((column) => ({ table: 'devices', column, with: 'hash' })))).to.equal('');
    expect(
      await one(`SELECT hw::text ~ '^02:' AND wide::text ~ '^02:' AND wide::text !~ '2b:01' FROM devices`),
    ).to.equal(true);
  });

  it('in integers of the largest size: their masks fit, and differ where they did', async () => {
    await rig.fresh(`CREATE TABLE t (id int PRIMARY KEY, n int UNIQUE, s smallint UNIQUE, b bigint UNIQUE);
      INSERT INTO t SELECT i, 2147483647 - i, 32767 - i, 9223372036854775807 - i FROM generate_series(0, 499) i; INSERT INTO t VALUES (500, -2147483648, -32768, -9223372036854775808)`);
    await maskDatabase(
      rig.blue.access,
      ['n', 's', 'b'].map((column) => ({ table: 't', column, with: 'digits' as const })),
    );
    expect(
      await one('SELECT ARRAY[count(DISTINCT n), count(DISTINCT s), count(DISTINCT b)]::int[] FROM t'),
    ).to.deep.equal([501, 501, 501]);
    expect(await one('SELECT count(*)::int FROM t WHERE n = 2147483647 - id')).to.be.lessThan(5);
  });

  it('behind an event trigger that always fires, which is as it was afterwards', async () => {
    await rig.fresh(`${people}`);
    await asAdmin(
      `CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'never'; END $$; CREATE EVENT TRIGGER no ON table_rewrite EXECUTE FUNCTION no(); ALTER EVENT TRIGGER no ENABLE ALWAYS`,
    );
    expect(await refused([email])).to.equal('');
    expect(await one('SELECT evtenabled FROM pg_event_trigger')).to.equal('A');
    await asAdmin('DROP EVENT TRIGGER no');
  });

  it('in materialised views that read younger ones; one that fails is named, without a value [K7]', async () => {
    await rig.fresh(`${people} CREATE VIEW between_them AS SELECT ''::text AS email; CREATE MATERIALIZED VIEW old AS SELECT email FROM between_them;
      CREATE MATERIALIZED VIEW young AS SELECT email FROM people; CREATE OR REPLACE VIEW between_them AS SELECT email FROM young; REFRESH MATERIALIZED VIEW old`);
    expect(await refused([email])).to.equal('');
    expect(await one(`SELECT count(*)::int FROM old WHERE email ~ '@example.invalid$'`)).to.equal(20);
    await rig.fresh(
      `CREATE TABLE people (id int, email text); INSERT INTO people VALUES (1, '12345678'); CREATE MATERIALIZED VIEW numbers AS SELECT email::int FROM people`,
    );
    expect(await refused([{ ...email, with: 'hash' }]))
      .to.include('the materialised view public.numbers cannot be refreshed over masked values')
      .and.not.to.match(/12345678|"[0-9a-f]{8}/);
  });

  it('in columns whose collation takes different texts for the same, and beside such columns', async () => {
    await rig.fresh(`CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
      CREATE TABLE people (name text COLLATE loose PRIMARY KEY, aliases text[] COLLATE loose, email text COLLATE loose, phone text COLLATE loose);
      CREATE TABLE orders (who text COLLATE loose REFERENCES people, note text COLLATE loose);
      INSERT INTO people VALUES ('Anna Miller', '{Annabel Miller}', 'anna@corp.de', '0151 234567'); INSERT INTO orders VALUES ('ANNA miller', 'x');`);
    const rules: MaskRule[] = [
      { table: 'people', column: 'name', with: 'name' },
      { table: 'people', column: 'aliases', with: 'name' },
      { table: 'people', column: 'phone', with: 'digits' },
      email,
      { table: 'orders', column: 'who', with: 'name' },
    ];
    expect(await refused(rules)).to.equal('');
    expect(await one('SELECT count(*)::int FROM people JOIN orders ON who = name')).to.equal(1);
    expect(await one('SELECT (p.*)::text FROM people p')).not.to.match(/anna|miller|corp|234567/i);
    await rig.run(rig.blue, `UPDATE people SET email = 'anna@corp.de'; UPDATE orders SET note = 'to ANNA@corp.de'`);
    expect(await refused(rules)).to.include('public.orders.note: it holds values of public.people.email');
  });

  it('in a partition that is a foreign table: refused by name', async () => {
    await rig.fresh('CREATE TABLE people (id int, email text) PARTITION BY RANGE (id)');
    await asAdmin(
      `CREATE EXTENSION file_fdw; CREATE SERVER f FOREIGN DATA WRAPPER file_fdw; CREATE FOREIGN TABLE far PARTITION OF people FOR VALUES FROM (0) TO (9) SERVER f OPTIONS (filename '/dev/null')`,
    );
    expect(await refused([email])).to.include(
      'public.people.email: the partition far is a foreign table, whose rows are elsewhere',
    );
  });
});
