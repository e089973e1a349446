import { expect } from 'chai';
import { withClient } from '../../../../../automation/data/connect.ts';
import type { Side } from '../../../../../automation/data/link.ts';
import { findObstacles } from '../../../../../automation/data/publication/both-ways.ts';
import { copyDatabase } from '../../../../../automation/data/copying/schema.ts';
import { preconditions } from '../../../../../automation/data/publication/preconditions.ts';
import { startSync, stopSync, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { createRig, expand, value, type Rig } from '../rig.ts';

/** PostgreSQL applies replicated rows with an empty search path: a function that names something without its schema stops it. */
describe('functions that name something without its schema', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());
  const errors = async () => (await preconditions(rig.blue.access)).filter(({ severity }) => severity === 'error');
  const admin = (side: Side, sql: string) =>
    withClient(side.access, 'admin', async (client) => void (await client.query(sql)));
  const helper = `CREATE FUNCTION helper(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)';
    CREATE FUNCTION f(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT helper($1)';`;
  const slow = `CREATE FUNCTION helper(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)';
    CREATE FUNCTION f(v text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN helper(v); END $$;`;
  const rowsIn = `INSERT INTO p (name) SELECT 'Zoe ' || i FROM generate_series(1, 300) i;`;

  const cases: [title: string, schema: string, found: string][] = [
    [
      'an index, by a dictionary of an extension',
      `CREATE TABLE p (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text); ${rowsIn}
      CREATE FUNCTION f(v text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN unaccent('unaccent', v); END $$; CREATE INDEX named ON p (f(name))`,
      'index public.named: public.f(text)',
    ],
    [
      'an index, inlined',
      `${helper} CREATE TABLE p (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text); CREATE INDEX named ON p (id, f(name)); ${rowsIn}`,
      'index public.named: public.f(text)',
    ],
    [
      'an index of an empty table',
      `${slow} CREATE TABLE p (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text); CREATE INDEX named ON p (f(name))`,
      'index public.named: public.f(text)',
    ],
    [
      'a partial index',
      `${slow} CREATE TABLE p (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text); ${rowsIn} CREATE INDEX named ON p (id) WHERE f(name) <> 'x'`,
      'index public.named: public.f(text)',
    ],
    [
      'an index of a partition',
      `${slow} CREATE TABLE p (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text) PARTITION BY RANGE (id); CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (0) TO (9999); CREATE INDEX named ON p (f(name)); ${rowsIn}`,
      'table public.p_1, index public.p_1_f_idx: public.f(text)',
    ],
    [
      'a constraint',
      `${slow} CREATE TABLE p (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text CONSTRAINT known CHECK (f(name) <> 'x')); ${rowsIn}`,
      'constraint known: public.f(text)',
    ],
    [
      'a generated column',
      `${slow} CREATE TABLE p (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, folded text GENERATED ALWAYS AS (f(name)) STORED); ${rowsIn}`,
      'generated column folded: public.f(text)',
    ],
    [
      'an operator',
      `${slow} CREATE FUNCTION same(text, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN f($1) = f($2); END $$;
      CREATE OPERATOR === (FUNCTION = same, LEFTARG = text, RIGHTARG = text); CREATE TABLE p (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text CONSTRAINT known CHECK (name === name)); ${rowsIn}`,
      'constraint known: public.same(text,text)',
    ],
  ];

  for (const [title, schema, found] of cases)
    it(`in ${title}: a precondition that names it, and a cure with which rows are applied [B6]`, async () => {
      await rig.fresh('SELECT 1');
      await admin(rig.blue, 'CREATE EXTENSION unaccent SCHEMA public');
      await rig.run(rig.blue, schema);
      const unmet = await errors();
      expect(unmet.map((e) => e.found).join('\n')).to.include(found);
      expect(unmet).to.have.length(1);
      // The functions of the operator call another one.
      await rig.run(rig.blue, unmet[0]?.cure.split(';')[0] ?? '');
      for (const { cure } of await errors()) await rig.run(rig.blue, cure.split(';')[0] ?? '');
      expect(await errors()).to.deep.equal([]);
      await expand(rig, 'SELECT 1');
      const link = await startSync(rig.blue, rig.green);
      await rig.run(rig.blue, `INSERT INTO p (name) VALUES ('later'); UPDATE p SET name = 'other' WHERE id < 5`);
      await waitForSync(link, { timeoutMs: 30_000 });
      await stopSync(link);
    });

  it('are no matter where they do not fail, whatever they are called, and where their own rows fail them [B6]', async () => {
    await rig.fresh(`
      CREATE FUNCTION f(v text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN public.g(v); END $$;
      CREATE FUNCTION g(v text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN IF v IS NULL THEN RAISE 'no value'; END IF; RETURN upper(v); END $$;
      CREATE DOMAIN short AS text CHECK (length(public.g(VALUE)) < 50);
      CREATE TABLE "T a" (id int PRIMARY KEY, "n n" text, s short NOT NULL DEFAULT 'x', e jsonb, up text GENERATED ALWAYS AS (public.f("n n")) STORED, CHECK (f("n n") <> 'X'));
      INSERT INTO "T a" SELECT i, 'a' FROM generate_series(1, 10) i; CREATE INDEX ON "T a" (f("n n"), lower("n n"))`);
    expect(await errors()).to.deep.equal([]);
  });

  it('are looked for, and a copy follows, where the search path names pg_catalog last and tables of users are called like its own', async () => {
    const path = (to: string) => `ALTER DATABASE app ${to}; ALTER ROLE admin IN DATABASE app ${to}`;
    await rig.fresh(
      `CREATE TABLE public.pg_class (id int PRIMARY KEY); CREATE TABLE public.pg_namespace (LIKE public.pg_class INCLUDING ALL);
       CREATE TABLE public.pg_roles (LIKE public.pg_class INCLUDING ALL); CREATE TABLE public.pg_publication (LIKE public.pg_class INCLUDING ALL); INSERT INTO public.pg_class VALUES (1)`,
    );
    await expand(rig, 'SELECT 1');
    for (const side of [rig.blue, rig.green]) await admin(side, path('SET search_path = "$user", public, pg_catalog'));
    try {
      expect(await errors()).to.deep.equal([]);
      const link = await startSync(rig.blue, rig.green);
      await rig.run(rig.blue, 'INSERT INTO public.pg_class VALUES (2)');
      expect(await waitForSync(link, { timeoutMs: 30_000 })).to.include({ state: 'streaming', tables: 4 });
      expect(await value(rig.green, 'SELECT count(*)::int FROM public.pg_class')).to.equal(2);
      await stopSync(link);
    } finally {
      for (const side of [rig.blue, rig.green]) await admin(side, path('RESET search_path'));
    }
  });

  it('are no matter in the default of a column that is sent, as nobody asks for it then, nor in a new table, to which nobody sends anything [B6]', async () => {
    await rig.fresh(`
      CREATE SEQUENCE numbers; CREATE FUNCTION next_id() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN nextval('numbers') + epoch(); END $$;
      CREATE FUNCTION epoch() RETURNS int LANGUAGE sql AS 'SELECT 100'; CREATE TABLE p (id bigint PRIMARY KEY DEFAULT next_id(), name text);
      CREATE TABLE parts (id bigint DEFAULT next_id() PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE part PARTITION OF parts DEFAULT; INSERT INTO parts DEFAULT VALUES`);
    expect(await errors()).to.deep.equal([]);
    await expand(
      rig,
      'ALTER TABLE p ADD COLUMN more int; CREATE TABLE later (id bigint PRIMARY KEY DEFAULT next_id())',
    );
    const link = await startSync(rig.blue, rig.green);
    await rig.run(rig.blue, `INSERT INTO p (name) VALUES ('later'); INSERT INTO parts DEFAULT VALUES`);
    await waitForSync(link, { timeoutMs: 30_000 });
    const ways = await withClient(rig.blue.access, 'admin', (old) =>
      withClient(rig.green.access, 'admin', (next) => findObstacles({ old, new: next }, { old: 'blue', new: 'green' })),
    );
    expect(ways.found).to.deep.equal([]);
    expect(await value(rig.green, 'SELECT count(*)::int FROM p')).to.equal(1);
    await stopSync(link);
  });

  describe('in a trigger that fires for replicated rows', () => {
    const table = `CREATE TABLE p (id int PRIMARY KEY, name text); INSERT INTO p SELECT i, 'x' FROM generate_series(1, 20) i; CREATE TABLE seen (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, of int);`;
    const trigger = (body: string, when: string, path = '') => `
      CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql ${path} AS $$ BEGIN ${body}; RETURN coalesce(NEW, OLD); END $$;
      CREATE TRIGGER note ${when} ON p FOR EACH ROW EXECUTE FUNCTION note();`;
    const always = 'ALTER TABLE p ENABLE ALWAYS TRIGGER note';
    /** Schema and rows, without a replication. */
    const copied = () => copyDatabase(rig.blue.access, rig.green.access);
    const found = () =>
      withClient(rig.blue.access, 'admin', (old) =>
        withClient(rig.green.access, 'admin', async (copy) =>
          (await findObstacles({ old, new: copy }, { old: 'blue', new: 'green' })).found.map(
            (f) => `${f.found}; ${f.cure}`,
          ),
        ),
      );

    for (const [title, migration, expected] of [
      [
        'on INSERT',
        trigger('INSERT INTO seen (of) VALUES (NEW.id)', 'AFTER INSERT') + always,
        /trigger note: .*"seen".*ALTER FUNCTION public.note\(\)/,
      ],
      ['on DELETE', trigger('DELETE FROM seen WHERE of = OLD.id', 'BEFORE DELETE') + always, /trigger note/],
      [
        'on UPDATE, of the replication only',
        `${trigger('PERFORM nobody(1)', 'BEFORE UPDATE')} ALTER TABLE p ENABLE REPLICA TRIGGER note`,
        /trigger note/,
      ],
      [
        'with a path of its own',
        trigger('INSERT INTO seen (of) VALUES (NEW.id)', 'AFTER INSERT', 'SET search_path = public') + always,
        undefined,
      ],
      ['that does not fire for them', trigger('INSERT INTO seen (of) VALUES (NEW.id)', 'AFTER INSERT'), undefined],
      [
        'in the default of a new column',
        `CREATE FUNCTION other() RETURNS int LANGUAGE sql AS 'SELECT 7'; CREATE FUNCTION def() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN other(); END $$; ALTER TABLE p ADD COLUMN more int DEFAULT def()`,
        /default of column more: public.def\(\)/,
      ],
    ] as const)
      it(`${title}: ${expected === undefined ? 'nothing is found' : 'found on the copy, before anything is applied'} [B6]`, async () => {
        await rig.fresh(table);
        await copied();
        await rig.run(rig.green, migration);
        const texts = await found();
        if (expected === undefined) expect(texts).to.deep.equal([]);
        else expect(texts.join('\n')).to.match(expected);
        expect(await value(rig.green, 'SELECT count(*)::int FROM p')).to.equal(20);
      });

    it('that both sides have: it is quiet there, and not tried [B6]', async () => {
      await rig.fresh(table + trigger('INSERT INTO seen (of) VALUES (NEW.id)', 'AFTER INSERT'));
      await copied();
      await rig.run(rig.green, always);
      expect(await found()).to.deep.equal([]);
    });
  });
});
