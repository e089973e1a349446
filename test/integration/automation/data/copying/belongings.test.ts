import { expect } from 'chai';
import { rows, withClient } from '../../../../../automation/data/connect.ts';
import { beginSchema, copyDatabase } from '../../../../../automation/data/copying/schema.ts';
import { linkBetween, type Side } from '../../../../../automation/data/link.ts';
import { schemaDrift } from '../../../../../automation/data/replication/schema-drift.ts';
import { startSync, stopSync, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { resetDatabase } from '../../../../../automation/data/schema.ts';
import { createRig, schemaV1, value, type Rig } from '../rig.ts';

/** What belongs to a database and is in no dump of it, as administrators make it. */
const asAdministrator = `
  CREATE ROLE metabase LOGIN PASSWORD 'of metabase' CONNECTION LIMIT 7 VALID UNTIL '2099-01-01 00:00:00+00';
  CREATE ROLE reporting NOLOGIN CREATEDB;
  CREATE ROLE "Odd ""Name""" LOGIN NOINHERIT;
  GRANT reporting TO metabase;
  GRANT reporting TO app;
  GRANT reporting TO admin WITH ADMIN OPTION;
  GRANT pg_read_all_stats TO metabase;
  GRANT SET ON PARAMETER log_min_duration_statement TO app;
  GRANT SET, ALTER SYSTEM ON PARAMETER log_statement TO metabase WITH GRANT OPTION;
  GRANT CONNECT, TEMPORARY ON DATABASE app TO metabase;
  GRANT SELECT ON settings TO reporting;
  GRANT SELECT (id, email) ON accounts TO "Odd ""Name""";
  ALTER DEFAULT PRIVILEGES FOR ROLE owner GRANT SELECT ON TABLES TO reporting;
  ALTER DATABASE app CONNECTION LIMIT 50;
  ALTER DATABASE app SET timezone = 'Asia/Kathmandu';
  ALTER DATABASE app SET search_path = public, pg_catalog;
  ALTER DATABASE app SET my.tenant = 'it''s, "quoted"';
  ALTER DATABASE app SET intervalstyle = 'iso_8601';
  ALTER ROLE app IN DATABASE app SET statement_timeout = '45s';
  ALTER ROLE metabase SET default_transaction_read_only = on;
  CREATE EXTENSION unaccent;
  ALTER FUNCTION unaccent(text) IMMUTABLE;
  ALTER FUNCTION unaccent(text) SET search_path = public;
  CREATE TABLE people (id int PRIMARY KEY, name text, waited interval);
  ALTER TABLE people OWNER TO owner;
  INSERT INTO people SELECT i, 'Zoë ' || i, i * interval '1 day 3 seconds' FROM generate_series(1, 200) i;
  CREATE INDEX people_unaccented ON people (unaccent(name));
  COMMENT ON EXTENSION unaccent IS 'of an administrator'`;

const asOwner = `
  CREATE SCHEMA tools;
  CREATE EXTENSION citext SCHEMA tools;
  COMMENT ON EXTENSION citext IS 'of the owner';
  CREATE EXTENSION hstore;
  CREATE TABLE tags (name tools.citext PRIMARY KEY, attributes hstore);
  INSERT INTO tags VALUES ('Red', 'a=>1');
  INSERT INTO accounts (email, balance) VALUES ('negative@example.invalid', -5);
  ALTER TABLE accounts ADD CONSTRAINT positive CHECK (balance >= 0) NOT VALID;
  CREATE TABLE notes (account bigint, text text);
  ALTER TABLE notes REPLICA IDENTITY FULL;
  INSERT INTO notes VALUES (-1, 'of nobody');
  ALTER TABLE notes ADD CONSTRAINT of_somebody FOREIGN KEY (account) REFERENCES accounts NOT VALID;
  CREATE STATISTICS both_of (dependencies) ON id, email FROM accounts;
  CREATE TABLE parts (id int, at int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
  CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
  CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
  CREATE TABLE parts_2a PARTITION OF parts_2 DEFAULT;
  INSERT INTO parts SELECT i, i FROM generate_series(0, 19) i;
  CREATE TABLE parents (id int PRIMARY KEY);
  CREATE TABLE children (PRIMARY KEY (id)) INHERITS (parents);
  INSERT INTO parents VALUES (1); INSERT INTO children VALUES (2);
  CREATE TABLE "Odd, ""Name""" ("a b" int PRIMARY KEY, "select" text);
  INSERT INTO "Odd, ""Name""" VALUES (1, E'tab\\t back\\\\slash \\n \\\\.')`;

for (const [from, to] of [
  [15, 15],
  [15, 17],
] as const) {
  describe(`a copy by rows from PostgreSQL ${from} to ${to}`, () => {
    let rig: Rig;
    const link = () => linkBetween(rig.blue, rig.green);
    const admin = (side: Side, sql: string) =>
      withClient(side.access, 'admin', async (client) => void (await client.query(sql)));
    const asked = <T>(side: Side, sql: string) => withClient(side.access, 'admin', (client) => rows<T>(client, sql));
    const both = async (sql: string): Promise<unknown> => {
      const [blue, green] = [await asked(rig.blue, sql), await asked(rig.green, sql)];
      expect(green).to.deep.equal(blue);
      return green;
    };

    before(async () => {
      rig = await createRig({ blue: from, green: to });
      await rig.fresh(schemaV1);
      await rig.run(rig.blue, asOwner);
      await admin(rig.blue, asAdministrator);
      await resetDatabase(rig.green.access, 'green', { like: rig.blue.access });
      const rest = await beginSchema(rig.blue.access, rig.green.access);
      try {
        await startSync(rig.blue, rig.green, { afterRows: rest.finish });
      } finally {
        await rest.dispose();
      }
      await waitForSync(link(), { timeoutMs: 30_000 });
    });
    after(async () => {
      await stopSync(link());
      await rig.dispose();
    });

    it('has every row, of partitions, of inheriting tables, with every character', async () => {
      for (const table of [
        'accounts',
        'people',
        'tags',
        'notes',
        'parts',
        'ONLY parents',
        'children',
        '"Odd, ""Name"""',
      ])
        await both(`SELECT to_jsonb(t)::text AS row FROM ${table} t ORDER BY 1`);
      expect(await both('SELECT count(*)::int AS n FROM parts_2a')).to.deep.equal([{ n: 10 }]);
    });

    it('has the roles of users, their attributes, passwords, memberships and rights [B1]', async () => {
      expect(
        await both(
          `SELECT rolname, rolcanlogin, rolinherit, rolcreatedb, rolconnlimit, rolvaliduntil, rolpassword FROM pg_authid
           WHERE rolname IN ('metabase', 'reporting', 'Odd "Name"') ORDER BY 1`,
        ),
      ).to.have.length(3);
      await both(
        `SELECT roleid::regrole::text AS role, member::regrole::text AS member FROM pg_auth_members
         WHERE member::regrole::text NOT IN ('admin') AND roleid::regrole::text <> 'app_writer' AND roleid > 16383 ORDER BY 1, 2`,
      );
      expect(
        await both(
          `SELECT p.parname, a.grantee::regrole::text, a.privilege_type, a.is_grantable FROM pg_parameter_acl p, aclexplode(p.paracl) a
           WHERE a.grantee <> a.grantor ORDER BY 1, 3`,
        ),
      ).to.have.length(3);
      const metabase = { user: 'metabase', password: 'of metabase' };
      const count = await withClient({ ...rig.green.access, app: metabase }, 'app', (client) =>
        rows<{ n: number }>(client, 'SELECT count(*)::int AS n FROM settings'),
      );
      expect(count).to.deep.equal([{ n: 500 }]);
      await both(`SELECT attacl::text FROM pg_attribute WHERE attrelid = 'accounts'::regclass AND attname = 'email'`);
      await both(
        `SELECT a.privilege_type FROM pg_default_acl, aclexplode(defaclacl) a WHERE defaclobjtype = 'r' AND a.grantee = 'reporting'::regrole`,
      );
      await both(
        `SELECT r.rolname, a.privilege_type FROM pg_database d, aclexplode(datacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
         WHERE datname = 'app' ORDER BY 1, 2`,
      );
    });

    it('has the catalog of the live side, so that nothing keeps writes from moving: also members of roles and the limit of connections [B1]', async () => {
      const reporting = `SELECT admin_option FROM pg_auth_members WHERE roleid = 'reporting'::regrole AND member = 'admin'::regrole`;
      expect(await both(reporting)).to.deep.equal([{ admin_option: true }]);
      expect(await schemaDrift(link())).to.deep.equal([]);
    });

    it('does not give the application the right to write with its other memberships [B1]', async () => {
      const error = await withClient(rig.green.access, 'app', (client) =>
        client.query('DELETE FROM settings').then(
          () => undefined,
          (e: Error) => e.message,
        ),
      );
      expect(error).to.include('permission denied');
    });

    it('has extensions of the same owner, in the same schema, with their comments [B2]', async () => {
      await both(
        `SELECT extname, pg_get_userbyid(extowner) AS owner, extnamespace::regnamespace::text AS schema, obj_description(oid, 'pg_extension') AS comment
         FROM pg_extension WHERE extname IN ('citext', 'hstore', 'unaccent') ORDER BY 1`,
      );
      await rig.run(rig.green, `COMMENT ON EXTENSION citext IS 'of a migration'`);
    });

    it('has the settings of the database and of roles, as they are stored [B3] [B4]', async () => {
      expect(
        await both(
          `SELECT coalesce(setrole::regrole::text, '') AS role, setdatabase <> 0 AS here, s AS setting FROM pg_db_role_setting, unnest(setconfig) s
           WHERE NOT (setrole = 'admin'::regrole AND setdatabase <> 0) ORDER BY 1, 2, 3`,
        ),
      ).to.have.length(6);
      expect(await value(rig.green, 'SHOW timezone')).to.equal('Asia/Kathmandu');
      expect(await value(rig.green, `SELECT current_setting('my.tenant')`)).to.equal(`it's, "quoted"`);
    });

    it('has functions of extensions as they were changed, and the index over one [B5]', async () => {
      await both(`SELECT provolatile, proconfig FROM pg_proc WHERE oid = 'public.unaccent(text)'::regprocedure`);
      await both(`SELECT indexdef FROM pg_indexes WHERE schemaname IN ('public', 'tools') ORDER BY 1`);
    });

    it('has constraints that old rows violate, still not valid [B8]', async () => {
      expect(
        await both(
          `SELECT conname, convalidated, pg_get_constraintdef(oid) AS def FROM pg_constraint WHERE contype IN ('c', 'f', 'p', 'u') AND connamespace = 'public'::regnamespace ORDER BY 1`,
        ),
      ).to.deep.include({
        conname: 'positive',
        convalidated: false,
        def: 'CHECK ((balance >= (0)::numeric)) NOT VALID',
      });
    });

    it('follows every change, of keys and of whole rows', async () => {
      await rig.run(
        rig.blue,
        `UPDATE people SET name = 'Ada' WHERE id < 50; DELETE FROM parts WHERE id = 3; UPDATE notes SET text = 'seen';
         UPDATE "Odd, ""Name""" SET "select" = 'x'; DELETE FROM accounts WHERE id = 501; INSERT INTO tags VALUES ('blue', 'b=>2')`,
      );
      await waitForSync(link(), { timeoutMs: 20_000 });
      for (const table of ['accounts', 'people', 'tags', 'notes', 'parts', '"Odd, ""Name"""'])
        await both(`SELECT to_jsonb(t)::text AS row FROM ${table} t ORDER BY 1`);
    });

    it('goes to staging with everything but the passwords [B1]', async () => {
      await stopSync(link());
      await resetDatabase(rig.green.access, 'green');
      await copyDatabase(rig.blue.access, rig.green.access);
      await both('SELECT to_jsonb(t)::text AS row FROM people t ORDER BY 1');
      expect(await asked(rig.green, `SELECT rolpassword FROM pg_authid WHERE rolname = 'metabase'`)).to.deep.equal([
        { rolpassword: null },
      ]);
    });
  });
}
