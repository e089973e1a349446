import { expect } from 'chai';
import { withClient } from '../../../../../automation/data/connect.ts';
import type { MaskRule } from '../../../../../automation/data/masking/rules.ts';
import { createRig, value, type Rig } from '../rig.ts';
import { whyNotMasked } from './why-not-masked.ts';

describe('masking', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());

  const one = <T = unknown>(sql: string): Promise<T> => value<T>(rig.blue, sql);
  const refused = (rules: MaskRule[]): Promise<string> => whyNotMasked(rig, rules);
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
      const second = await untouched(['people'], () =>
        refused([{ table: 'people', column: 'name', with: 'name' }, email('people', 'work')]),
      );
      expect(second)
        .to.include('people.work: its masked values break the constraint corporate_check')
        .and.not.to.include('people.name');
      expect(second).not.to.include('corp.example');
    });

    it('conditions of columns and tables, also where only the last row breaks them [K6]', async () => {
      await rig.fresh(`CREATE TABLE people (id int PRIMARY KEY, email text CHECK (email ~ '@(corp|example)\\.'), code text, kind text, born date,
          CONSTRAINT coded CHECK (kind = 'open' OR code LIKE 'C-%'), CONSTRAINT living CHECK (born > '1900-06-01'));
        INSERT INTO people SELECT i, 'a' || i || '@corp.example', 'C-' || i, CASE WHEN i = 9000 THEN 'closed' ELSE 'open' END, '1990-01-01' FROM generate_series(1, 9000) i;
        INSERT INTO people VALUES (9001, NULL, 'C-1', 'open', '1900-06-02');`);
      const found = await untouched(['people'], () =>
        refused([
          email('people'),
          { table: 'people', column: 'code', with: 'hash' },
          { table: 'people', column: 'born', with: 'date' },
        ]),
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
        refused([
          { table: 'people', column: 'name', with: 'name' },
          { table: 'people', column: 'born', with: 'date' },
        ]),
      );
      expect(found).to.include('people.born: its masked values break the unique index births');
    });

    it('foreign keys whose ends would differ: by kind, by length, or masked at one end', async () => {
      await rig.fresh(`CREATE TABLE people (id int PRIMARY KEY, token varchar(40) UNIQUE, email text UNIQUE, code varchar(80) UNIQUE);
        CREATE TABLE logins (id int PRIMARY KEY, token varchar(20) REFERENCES people (token), email varchar(50) REFERENCES people (email), code text REFERENCES people (code));
        INSERT INTO people VALUES (1, 'abc', 'anna@corp.example', 'x'); INSERT INTO logins VALUES (1, 'abc', 'anna@corp.example', 'x');`);
      const hash = (table: string, column: string): MaskRule => ({ table, column, with: 'hash' });
      const same = [email('people'), email('logins'), hash('people', 'code'), hash('logins', 'code')];
      const found = await untouched(['people', 'logins'], () =>
        refused([...same.slice(0, 3), hash('people', 'token'), hash('logins', 'token')]),
      );
      expect(found).to.include('logins.token refers to public.people.token: mask both the same way');
      expect(found).to.include('logins.code refers to public.people.code').and.not.to.include('logins.email');
      expect(await refused(same)).to.equal('');
      expect(await one('SELECT count(*)::int FROM people p JOIN logins l USING (email, code)')).to.equal(1);
    });

    it('types, keys of partitions, generated columns, arrays of arrays', async () => {
      await rig.fresh(`CREATE TYPE mood AS ENUM ('calm', 'glad'); CREATE TYPE pair AS (a text, b text);
        CREATE TABLE people (id int, region text, mood mood, two pair, text text, upper text GENERATED ALWAYS AS (upper(text)) STORED, tags text[], PRIMARY KEY (id, region)) PARTITION BY LIST (region);
        CREATE TABLE north PARTITION OF people FOR VALUES IN ('north'); INSERT INTO people VALUES (1, 'north', 'calm', ('a', 'b'), 't', DEFAULT, '{{a,b},{c,d}}');`);
      const hash = (column: string): MaskRule => ({ table: 'people', column, with: 'hash' });
      const found = await untouched(['people'], () =>
        refused([
          hash('region'),
          hash('mood'),
          hash('two'),
          hash('upper'),
          { table: 'people', column: 'text', with: 'date' },
          { ...hash('text'), table: 'north' },
        ]),
      );
      expect(found).to.include('people.region: it decides in which partition a row is');
      expect(found).to.include('people.mood: hash needs a text column, this one is mood');
      expect(found).to.include('people.two: hash needs a text column');
      expect(found).to.include('people.upper: it is computed from other columns');
      expect(found).to.include('people.text: date needs a date or timestamp, this one is text');
      expect(found).to.include('there is no table north');
      expect(await untouched(['people'], () => refused([hash('tags')]))).to.include(
        'people.tags: its masked values break',
      );
    });
  });

  describe('finds tables', () => {
    it('by schema where several have the name, and refuses a name that does not tell [G2]', async () => {
      await rig.fresh(`CREATE SCHEMA crm; CREATE SCHEMA "Old Shop"; CREATE TABLE people (id int, email text); CREATE TABLE crm.people (id int, email text); CREATE TABLE "Old Shop"."People" (id int, "E-Mail" text);
        INSERT INTO people VALUES (1, 'anna@corp.example'); INSERT INTO crm.people VALUES (1, 'anna@corp.example'); INSERT INTO "Old Shop"."People" VALUES (1, 'anna@corp.example');`);
      expect(await refused([email('people')])).to.include(
        'people.email: crm.people and public.people have this name; write one of them',
      );
      expect(await refused([email('public.people')])).to.include(
        'crm.people.email: it holds values of public.people.email',
      );
      expect(await refused([email('public.people'), email('crm.people'), email('People', 'E-Mail')])).to.equal('');
      expect(
        await one(
          `SELECT (SELECT email FROM people) = (SELECT email FROM crm.people) AND (SELECT email FROM people) = (SELECT "E-Mail" FROM "Old Shop"."People") AND (SELECT email FROM people) LIKE '%invalid'`,
        ),
      ).to.equal(true);
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
      expect(
        await one(
          `SELECT count(*)::int FROM pg_stats WHERE most_common_vals::text ~ 'corp' OR histogram_bounds::text ~ 'corp'`,
        ),
      ).to.equal(0);
    });
  });

  it('minds no setting that the owner made for the application', async () => {
    await rig.fresh(
      `CREATE TABLE people (id int PRIMARY KEY, email text NOT NULL UNIQUE, born date); INSERT INTO people SELECT i, 'user' || i || '@corp.example', '2000-12-01' FROM generate_series(1, 100) i;`,
    );
    await rig.run(
      rig.blue,
      [
        'default_transaction_read_only = on',
        `lock_timeout = '1ms'`,
        `statement_timeout = '1ms'`,
        'row_security = off',
        `search_path = ''`,
        `DateStyle = 'SQL, DMY'`,
        `default_toast_compression = 'pglz'`,
        'standard_conforming_strings = off',
        `idle_in_transaction_session_timeout = '1ms'`,
      ]
        .map((s) => `ALTER DATABASE app SET ${s};`)
        .join(' '),
    );
    expect(await refused([email('people'), { table: 'people', column: 'born', with: 'date' }])).to.equal('');
    expect(
      await withClient(
        rig.blue.access,
        'admin',
        async (c) =>
          (
            await c.query(
              `SELECT count(DISTINCT email)::int AS n FROM public.people WHERE email LIKE '%@example.invalid' AND born < '2000-12-01'::date AND born > '1999-11-01'::date`,
            )
          ).rows[0] as unknown,
      ),
    ).to.deep.equal({ n: 100 });
  });
});
