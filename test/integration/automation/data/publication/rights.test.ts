import { expect } from 'chai';
import { rows, withClient } from '../../../../../automation/data/connect.ts';
import { Fence } from '../../../../../automation/data/cutover/fence.ts';
import { preconditions } from '../../../../../automation/data/publication/preconditions.ts';
import { copySchema } from '../../../../../automation/data/copying/schema.ts';
import { startSync, stopSync } from '../../../../../automation/data/replication/sync.ts';
import { createRig, type Rig } from '../rig.ts';
import { refused } from '../writer.ts';

/** The fence does not stop writes by rights other than `app_writer`. */
describe('rights of the application beside app_writer', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());
  const admin = (sql: string) => withClient(rig.blue.access, 'admin', (client) => client.query(sql));
  const link = () => ({ name: 'greenlight_to_green', from: rig.blue, to: rig.green });

  /** Statements of `app` that succeed on a side. Each is rolled back. */
  async function writesOf(side: Rig['blue'], statements: string[]): Promise<string[]> {
    return withClient(side.access, 'app', async (client) => {
      const done: string[] = [];
      for (const sql of statements) {
        await client.query('BEGIN');
        await client.query(sql).then(
          () => done.push(sql),
          () => undefined,
        );
        await client.query('ROLLBACK');
      }
      return done;
    });
  }

  /** Errors about the live side's rights, and what they say helps. */
  const errors = async () =>
    (await preconditions(rig.blue.access))
      .filter(({ severity }) => severity === 'error')
      .map(({ found, cure }) => ({ found, cure }));

  interface Case {
    title: string;
    /** As owner; the tables `accounts` and `notes`, the view `names` and the sequence `numbers` are there. */
    grant: string;
    /** As admin, before it. */
    asAdmin?: string;
    write: string;
    found: string;
  }
  const cases: Case[] = [
    {
      title: 'a column',
      grant: 'GRANT UPDATE (name) ON accounts TO app',
      write: `UPDATE accounts SET name = 'x'`,
      found: 'column name of public.accounts (UPDATE (name) to app)',
    },
    {
      title: 'a view',
      grant: 'GRANT UPDATE ON names TO app',
      write: `UPDATE names SET name = 'x'`,
      found: 'view public.names (UPDATE to app)',
    },
    {
      title: 'a column of a view',
      grant: 'GRANT UPDATE (name) ON names TO PUBLIC',
      write: `UPDATE names SET name = 'x'`,
      found: 'column name of public.names (UPDATE (name) to PUBLIC)',
    },
    {
      title: 'a view with a trigger',
      grant: `CREATE VIEW sums AS SELECT count(*) AS n FROM accounts; CREATE FUNCTION put() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN INSERT INTO public.notes VALUES (9); RETURN NEW; END $$;
       CREATE TRIGGER put INSTEAD OF INSERT ON sums FOR EACH ROW EXECUTE FUNCTION put(); GRANT INSERT ON sums TO app_reader`,
      write: 'INSERT INTO sums VALUES (1)',
      found: 'view public.sums (INSERT to app_reader)',
    },
    {
      title: 'a partition',
      grant: 'GRANT DELETE ON parts_1 TO app',
      write: 'DELETE FROM parts_1',
      found: 'table public.parts_1 (DELETE to app)',
    },
    {
      title: 'TRUNCATE',
      grant: 'GRANT TRUNCATE ON notes TO app',
      write: 'TRUNCATE notes',
      found: 'table public.notes (TRUNCATE to app)',
    },
    {
      title: 'a sequence',
      grant: 'GRANT USAGE ON numbers TO app',
      write: `SELECT nextval('numbers')`,
      found: 'sequence public.numbers (USAGE to app)',
    },
    {
      title: 'a function of the owner',
      grant: `CREATE FUNCTION wipe() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM public.notes'`,
      write: 'SELECT wipe()',
      found: 'function public.wipe() (EXECUTE to PUBLIC) is SECURITY DEFINER',
    },
    {
      title: 'a schema',
      grant: 'GRANT CREATE ON SCHEMA public TO app',
      write: 'CREATE TABLE mine (a int)',
      found: 'schema public (CREATE to app)',
    },
    {
      title: 'default privileges',
      grant:
        'ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT INSERT ON TABLES TO app; CREATE TABLE later (id int PRIMARY KEY)',
      write: 'INSERT INTO later VALUES (1)',
      found: 'tables that owner makes in public (INSERT to app)',
    },
    {
      title: 'the database',
      asAdmin: 'GRANT TEMPORARY ON DATABASE app TO PUBLIC',
      grant: 'SELECT 1',
      write: 'CREATE TEMP TABLE t (a int)',
      found: 'database app (TEMPORARY to PUBLIC)',
    },
    {
      title: 'a role in a role',
      asAdmin:
        'CREATE ROLE outer_role; CREATE ROLE inner_role NOINHERIT; GRANT inner_role TO outer_role; GRANT outer_role TO app',
      grant: 'GRANT INSERT ON notes TO inner_role',
      write: 'INSERT INTO notes VALUES (3)',
      found: 'table public.notes (INSERT to inner_role)',
    },
    {
      title: 'everything, by a role of PostgreSQL',
      asAdmin: 'GRANT pg_write_all_data TO app_reader',
      grant: 'SELECT 1',
      write: 'INSERT INTO notes VALUES (3)',
      found: 'role app_reader is a member of pg_write_all_data, and app of it',
    },
    {
      title: 'app_writer, on another way',
      asAdmin: 'GRANT app_writer TO app_reader',
      grant: 'SELECT 1',
      write: 'INSERT INTO notes VALUES (3)',
      found: 'role app_reader is a member of app_writer, and app of it',
    },
    {
      title: 'being the owner',
      asAdmin: 'GRANT owner TO app',
      grant: 'SELECT 1',
      write: 'INSERT INTO notes VALUES (3)',
      found: 'role app is a member of owner',
    },
    {
      title: 'a table of its own',
      grant: 'SELECT 1',
      asAdmin: 'CREATE TABLE public.own (id int PRIMARY KEY); ALTER TABLE public.own OWNER TO app',
      write: 'INSERT INTO own VALUES (1)',
      found: 'public.own belongs to app',
    },
    {
      title: 'attributes',
      asAdmin: 'ALTER ROLE app SUPERUSER',
      grant: 'SELECT 1',
      write: 'INSERT INTO notes VALUES (3)',
      found: 'role app is SUPERUSER',
    },
    {
      title: 'a right that was passed on',
      asAdmin: 'CREATE ROLE middle; GRANT USAGE ON SCHEMA public TO middle',
      grant: 'GRANT INSERT ON notes TO middle WITH GRANT OPTION',
      write: 'INSERT INTO notes VALUES (3)',
      found: 'table public.notes (INSERT to app)',
    },
  ];

  const clean = `DO $$ BEGIN REVOKE pg_write_all_data, app_writer FROM app_reader; REVOKE owner FROM app; ALTER ROLE app NOSUPERUSER; END $$;
    DO $$ DECLARE r text; BEGIN FOREACH r IN ARRAY '{outer_role,inner_role,middle,worker,clerk}'::text[] LOOP
      IF to_regrole(r) IS NOT NULL THEN EXECUTE format('DROP OWNED BY %1$I; DROP ROLE %1$I', r); END IF; END LOOP; END $$`;
  afterEach(() => admin(clean));

  const schema = `CREATE TABLE accounts (id int PRIMARY KEY, name text); INSERT INTO accounts VALUES (1, 'a'); CREATE VIEW names AS SELECT * FROM accounts;
    CREATE TABLE notes (id int PRIMARY KEY); INSERT INTO notes VALUES (1); CREATE SEQUENCE numbers;
    CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);`;

  for (const { title, grant, asAdmin, write, found } of cases) {
    it(`${title}: reported before anything is published, with a cure that works [N3]`, async () => {
      await rig.fresh(schema);
      if (asAdmin !== undefined) await admin(asAdmin);
      await rig.run(rig.blue, grant);
      if (title === 'a right that was passed on') await admin('SET ROLE middle; GRANT INSERT ON public.notes TO app');
      await admin('REVOKE app_writer FROM app');
      expect(await writesOf(rig.blue, [write]), 'the fault that the test is about').to.deep.equal([write]);
      await admin('GRANT app_writer TO app');

      const error = await refused(startSync(rig.blue, rig.green));
      expect(error.todo).to.include(found);
      for (const { cure } of await errors()) await admin(cure.split('; or')[0] ?? '');
      if (title === 'default privileges') for (const { cure } of await errors()) await admin(cure);
      expect(await errors()).to.deep.equal([]);
      await admin('REVOKE app_writer FROM app');
      expect(await writesOf(rig.blue, [write]), 'after the cure').to.deep.equal([]);
    });
  }

  it('ignores rights on objects of an extension', async () => {
    await rig.fresh(schema);
    await admin(`CREATE TABLE public.job_details (id int PRIMARY KEY); GRANT DELETE ON public.job_details TO PUBLIC;
      CREATE FUNCTION public.job_cancel() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM public.job_details';
      CREATE EXTENSION citext; ALTER EXTENSION citext ADD TABLE public.job_details; ALTER EXTENSION citext ADD FUNCTION public.job_cancel()`);
    expect(await errors()).to.deep.equal([]);
  });

  it('reports other roles that can log in and write', async () => {
    await rig.fresh(schema);
    await admin(
      `CREATE ROLE worker LOGIN; CREATE ROLE clerk LOGIN; GRANT app_writer TO worker; GRANT INSERT ON public.notes TO clerk`,
    );
    const found = (await errors()).map((e) => e.found).join('\n');
    expect(found)
      .to.include('role worker logs in and may write as a member of app_writer')
      .and.to.include('role clerk logs in and may write:');
  });

  it('lets the application write on neither the fenced nor the inactive colour', async () => {
    await rig.fresh(schema);
    await rig.run(
      rig.blue,
      `GRANT SELECT, REFERENCES ON accounts TO app; GRANT SELECT (name) ON accounts TO PUBLIC; GRANT SELECT ON numbers TO PUBLIC;
       CREATE VIEW twice AS SELECT id * 2 AS n FROM accounts; GRANT INSERT ON twice TO app; GRANT UPDATE ON names TO app_writer;
       CREATE FUNCTION read() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT count(*) FROM public.notes';
       CREATE FUNCTION write() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM public.notes'; REVOKE EXECUTE ON FUNCTION write() FROM PUBLIC; GRANT EXECUTE ON FUNCTION write() TO app_writer`,
    );
    await copySchema(rig.blue.access, rig.green.access);
    expect(await errors()).to.deep.equal([]);
    await startSync(rig.blue, rig.green);
    const all = [
      `UPDATE accounts SET name = 'x'`,
      'INSERT INTO accounts VALUES (2)',
      'DELETE FROM accounts',
      `UPDATE names SET name = 'x'`,
      'DELETE FROM parts',
      'DELETE FROM parts_1',
      'INSERT INTO twice VALUES (1)',
      'SELECT write()',
      `SELECT nextval('numbers')`,
      `SELECT setval('numbers', 9)`,
      'CREATE TABLE mine (a int)',
      'CREATE TEMP TABLE t (a int)',
      'SET ROLE app_writer',
      'TRUNCATE notes',
    ];
    expect(await writesOf(rig.green, all), 'on the inactive colour').to.deep.equal([]);
    const fence = await Fence.prepare(rig.blue.access, 5_000);
    await fence.raise(performance.now() + 5_000);
    await fence.commit();
    await fence.lower();
    expect(await writesOf(rig.blue, all), 'on the fenced colour').to.deep.equal([]);
    expect(await writesOf(rig.blue, ['SELECT read()'])).to.have.length(1);
    // PostgreSQL's own answer, for everything that there is.
    for (const side of [rig.blue, rig.green]) {
      const writable = await withClient(side.access, 'admin', (client) =>
        rows<{ what: string }>(
          client,
          `SELECT c.oid::regclass::text AS what FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
             AND CASE WHEN c.relkind = 'S' THEN has_sequence_privilege('app', c.oid, 'USAGE, UPDATE')
               WHEN c.relkind IN ('r', 'p', 'f')
               THEN has_any_column_privilege('app', c.oid, 'INSERT, UPDATE') OR has_table_privilege('app', c.oid, 'DELETE, TRUNCATE, TRIGGER') ELSE false END
           UNION ALL SELECT nspname FROM pg_namespace WHERE has_schema_privilege('app', oid, 'CREATE')
           UNION ALL SELECT 'database' WHERE has_database_privilege('app', current_database(), 'CREATE, TEMPORARY')`,
        ),
      );
      expect(writable).to.deep.equal([]);
    }
    await stopSync(link());
  });
});
