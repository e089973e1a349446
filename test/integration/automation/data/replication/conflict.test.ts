import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { close, connect, rows, withClient } from '../../../../../automation/data/connect.ts';
import { linkBetween } from '../../../../../automation/data/link.ts';
import { findConflict } from '../../../../../automation/data/replication/conflict.ts';
import { noTries, reviveLink } from '../../../../../automation/data/replication/revive.ts';
import { startSync, stopSync, syncStatus, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { measure } from '../../../../../automation/data/replication/sync-state.ts';
import { copySchema } from '../../../../../automation/data/copying/schema.ts';
import { createRig, value, type Rig } from '../rig.ts';

/** No value of this may be in a message. */
const secret = 'Ada Lovelace';

const schema = `
  CREATE TYPE mood AS ENUM ('calm', 'glad');
  CREATE DOMAIN phone AS text;
  CREATE TABLE people (id int PRIMARY KEY, name text, mood mood, phone phone, note varchar(40), at int4range, doc json, n int,
    twice bigint GENERATED ALWAYS AS (n::bigint * 2) STORED);
  CREATE TABLE visits (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, person int REFERENCES people);
  CREATE TABLE parts (id int, at int, name text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
  CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
  CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
  CREATE TABLE whole (a int, name text); ALTER TABLE whole REPLICA IDENTITY FULL;
  INSERT INTO people (id, name, n) VALUES (1, 'first', 1), (2, 'second', 2);
  INSERT INTO whole VALUES (1, 'same'), (1, 'same'), (2, 'other');`;

interface Kind {
  /** What differs on the inactive colour, as owner or as administrator. */
  planted: string;
  /** What the application does on the live one. */
  written: string;
  says: string;
  /** What puts the inactive colour right again. */
  mended: string;
}

const add = (columns: string, values: string) => `INSERT INTO people (${columns}) VALUES (${values})`;
const person = add('id, name', `7, '${secret}'`);

const kinds: Record<string, Kind> = {
  'a unique index beside the key': {
    planted: `CREATE UNIQUE INDEX names ON people (name); ${add('id, name', `6, '${secret}'`)}`,
    written: person,
    says: 'insert of table public.people, row with id = 7: duplicate key value violates unique constraint "names" (SQLSTATE 23505)',
    mended: 'DELETE FROM people WHERE id = 6',
  },
  'a row that is there': {
    planted: add('id', '7'),
    written: person,
    says: 'table public.people: the row with id = 7 is already on green, where nobody but the replication may write (duplicate key value violates unique constraint "people_pkey" (SQLSTATE 23505))',
    mended: 'DELETE FROM people WHERE id = 7',
  },
  'NOT NULL': {
    planted:
      'ALTER TABLE people ALTER note SET DEFAULT $$x$$; UPDATE people SET note = $$x$$; ALTER TABLE people ALTER note SET NOT NULL',
    written: person,
    says: 'null value in column "note" of relation "people" violates not-null constraint (SQLSTATE 23502)',
    mended: 'ALTER TABLE people ALTER note DROP NOT NULL',
  },
  'a CHECK': {
    planted: 'ALTER TABLE people ADD CONSTRAINT short CHECK (length(name) < 9)',
    written: `UPDATE people SET name = '${secret}' WHERE id = 2`,
    says: 'update of table public.people, row with id = 2: new row for relation "people" violates check constraint "short" (SQLSTATE 23514)',
    mended: 'ALTER TABLE people DROP CONSTRAINT short',
  },
  'a foreign key that is checked always': {
    planted: `DO $$ DECLARE t record; BEGIN DELETE FROM people WHERE id = 2;
      FOR t IN SELECT tgname FROM pg_trigger WHERE tgrelid = 'visits'::regclass LOOP EXECUTE format('ALTER TABLE visits ENABLE ALWAYS TRIGGER %I', t.tgname); END LOOP; END $$`,
    written: 'INSERT INTO visits (person) VALUES (2)',
    says: 'insert of table public.visits, row with id = 1: insert or update on table "visits" violates foreign key constraint "visits_person_fkey" (SQLSTATE 23503)',
    mended: add('id', '2'),
  },
  'a missing table': {
    planted: 'ALTER TABLE visits RENAME TO visits_old',
    written: 'INSERT INTO visits (person) VALUES (2)',
    says: 'insert of table public.visits: logical replication target relation "public.visits" does not exist',
    mended: 'ALTER TABLE visits_old RENAME TO visits',
  },
  'a missing column': {
    planted: 'ALTER TABLE people RENAME note TO remark; ALTER TABLE people RENAME doc TO document',
    written: person,
    says: 'logical replication target relation "public.people" is missing replicated columns: "note", "doc"',
    mended: 'ALTER TABLE people RENAME remark TO note; ALTER TABLE people RENAME document TO doc',
  },
  'a missing partition': {
    planted: 'ALTER TABLE parts DETACH PARTITION parts_2',
    written: `INSERT INTO parts VALUES (1, 15, '${secret}')`,
    says: 'insert of table public.parts, row with id = 1, at = 15: no partition of relation "parts" found for row (SQLSTATE 23514)',
    mended: 'ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM (10) TO (20)',
  },
  'an unknown value of an enum': {
    planted: `ALTER TYPE mood RENAME VALUE 'glad' TO 'happy'`,
    written: add('id, mood', `7, 'glad'`),
    says: 'insert of table public.people, row with id = 7: invalid input value for enum public.mood (SQLSTATE 22P02)',
    mended: `ALTER TYPE mood RENAME VALUE 'happy' TO 'glad'`,
  },
  'a value of another type': {
    planted: 'ALTER TABLE people ALTER name TYPE int USING 0',
    written: person,
    says: 'invalid input syntax for type integer (SQLSTATE 22P02)',
    mended: 'ALTER TABLE people ALTER name TYPE text',
  },
  'a value that is too long': {
    planted: 'ALTER TABLE people ALTER note TYPE varchar(5)',
    written: add('id, note', `7, '${secret}'`),
    says: 'value too long for type character varying(5) (SQLSTATE 22001)',
    mended: 'ALTER TABLE people ALTER note TYPE varchar(40)',
  },
  'a domain': {
    planted: `ALTER DOMAIN phone ADD CONSTRAINT digits CHECK (VALUE ~ '^[0-9]+$')`,
    written: add('id, phone', `7, '${secret}'`),
    says: 'value for domain public.phone violates check constraint "digits" (SQLSTATE 23514)',
    mended: 'ALTER DOMAIN phone DROP CONSTRAINT digits',
  },
  'a trigger function that raises the row': {
    planted: `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no room for % here', NEW.name; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION refuse(); ALTER TABLE people ENABLE ALWAYS TRIGGER refuse`,
    written: person,
    says: 'no room for ... here (SQLSTATE P0001)',
    mended: 'DROP TRIGGER refuse ON people',
  },
  'a trigger function that may not read a table': {
    planted: `CREATE TABLE hidden (id int);
      CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN PERFORM 1 FROM public.hidden; RETURN NEW; END $$;
      ALTER FUNCTION look() OWNER TO app; REVOKE ALL ON hidden FROM PUBLIC, app;
      CREATE TRIGGER look BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION look(); ALTER TABLE people ENABLE REPLICA TRIGGER look`,
    written: person,
    says: 'permission denied for table hidden (SQLSTATE 42501)',
    mended: 'DROP TRIGGER look ON people',
  },
  'an exclusion constraint': {
    planted: `ALTER TABLE people ADD CONSTRAINT apart EXCLUDE USING gist (at WITH &&); UPDATE people SET at = '[1,5)' WHERE id = 1`,
    written: add('id, at', `7, '[3,9)'`),
    says: 'conflicting key value violates exclusion constraint "apart" (SQLSTATE 23P01)',
    mended: 'ALTER TABLE people DROP CONSTRAINT apart',
  },
  'an index over a function with unqualified names': {
    planted: `CREATE FUNCTION plain(t text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower(t)';
      CREATE FUNCTION folded(t text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN plain(t); END'; CREATE INDEX by_name ON people (folded(name))`,
    written: person,
    says: 'function plain(text) does not exist (SQLSTATE 42883)',
    mended: 'ALTER FUNCTION folded SET search_path = public',
  },
  'a generated column that overflows': {
    planted: 'ALTER TABLE people DROP twice; ALTER TABLE people ADD twice int GENERATED ALWAYS AS (n * 2) STORED',
    written: add('id, n', '7, 2000000000'),
    says: 'insert of table public.people, row with id = 7: integer out of range (SQLSTATE 22003)',
    mended:
      'ALTER TABLE people DROP twice; ALTER TABLE people ADD twice bigint GENERATED ALWAYS AS (n::bigint * 2) STORED',
  },
  'a TRUNCATE that a table of the new version forbids': {
    planted: 'CREATE TABLE tickets (visit int REFERENCES visits)',
    written: 'TRUNCATE visits',
    says: 'truncate: cannot truncate a table referenced in a foreign key constraint (Table "tickets" references "visits".) (SQLSTATE 0A000)',
    mended: 'DROP TABLE tickets',
  },
  'whole rows of a type without equality': {
    planted: 'ALTER TABLE whole ALTER name TYPE json USING to_json(name)',
    written: 'UPDATE whole SET a = 3 WHERE a = 2',
    says: 'update of table public.whole: ',
    mended: 'ALTER TABLE whole ALTER name TYPE text USING name #>> $${}$$',
  },
  'an identity that is not sent': {
    planted:
      'ALTER TABLE people DROP CONSTRAINT people_pkey CASCADE; ALTER TABLE people ALTER n SET NOT NULL; ALTER TABLE people ADD PRIMARY KEY (id, n)',
    written: 'UPDATE people SET name = $$new$$ WHERE id = 2',
    says: 'publisher did not send replica identity column expected by the logical replication target relation "public.people"',
    mended: 'ALTER TABLE people DROP CONSTRAINT people_pkey; ALTER TABLE people ADD PRIMARY KEY (id)',
  },
  'the last change of a transaction over several tables': {
    planted: 'ALTER TABLE people ADD CONSTRAINT known CHECK (id < 90)',
    written: `BEGIN; INSERT INTO whole VALUES (9, 'x'); UPDATE whole SET name = 'y' WHERE a = 1; DELETE FROM whole WHERE a = 2; INSERT INTO visits (person) VALUES (1);
      INSERT INTO parts VALUES (3, 3, 'p'); UPDATE parts SET at = 12 WHERE id = 3; TRUNCATE visits RESTART IDENTITY; INSERT INTO visits (person) VALUES (1); ${add('id', '91')}; COMMIT`,
    says: 'insert of table public.people, row with id = 91: new row for relation "people" violates check constraint "known" (SQLSTATE 23514)',
    mended: 'ALTER TABLE people DROP CONSTRAINT known',
  },
};

describe('a replication that cannot apply a change says why, in PostgreSQL’s words', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());
  const link = () => linkBetween(rig.blue, rig.green);
  const admin = (sql: string) => withClient(rig.green.access, 'admin', (client) => client.query(sql));
  const stopped = async (): Promise<void> => {
    while ((await value<boolean>(rig.green, 'SELECT subenabled FROM pg_subscription')) === true) await sleep(20);
  };
  const follow = async (): Promise<void> => {
    await rig.fresh(schema);
    await copySchema(rig.blue.access, rig.green.access);
    await startSync(rig.blue, rig.green);
    await waitForSync(link(), { timeoutMs: 20_000 });
  };
  const position = () => value<string>(rig.blue, 'SELECT confirmed_flush_lsn::text FROM pg_replication_slots');

  for (const [what, { planted, written, says, mended }] of Object.entries(kinds)) {
    it(`${what}: it is named, no value of the row is, and once mended the replication goes on [L]`, async () => {
      await follow();
      await admin(planted);
      await rig.run(rig.blue, written);
      await stopped();
      const before = await position();
      const { state, problem } = await syncStatus(link());
      expect(state).to.equal('broken');
      expect(problem).to.include(says).and.not.include(secret);
      expect(problem).to.match(/^(green could not apply a change and stopped: |table public\.\w+: the row)/);
      expect(await reviveLink(link(), noTries()), 'it would fail again').to.equal(false);
      expect(await position(), 'the slot').to.equal(before);
      await admin(mended);
      expect((await syncStatus(link())).problem).to.include('can be applied, so the cause has passed');
      expect(await reviveLink(link(), noTries())).to.equal(true);
      // The schema of green is not what it was, so the replication is not accepted. But it goes on.
      const streams = () =>
        withClient(rig.blue.access, 'admin', (source) =>
          withClient(rig.green.access, 'admin', (target) => measure(link(), source, target)),
        );
      while ((await position()) === before || !(await streams()).worker) await sleep(50);
    });
  }

  it('the last change of a large transaction, as far as the search may go: it is named, no value of the row is [L]', async () => {
    await follow();
    await admin('ALTER TABLE people ADD CONSTRAINT known CHECK (id < 1000)');
    await rig.run(rig.blue, `INSERT INTO people (id, name) SELECT i, '${secret}' FROM generate_series(10, 1000) i`);
    await stopped();
    const before = await position();
    // The whole transaction takes as long as the machine needs.
    const found = (limitMs: number) =>
      withClient(rig.blue.access, 'admin', (source) =>
        withClient(rig.green.access, 'admin', (target) => findConflict(link(), source, target, limitMs)),
      );
    const { problem, lasting } = await found(3_600_000);
    expect(problem).to.equal(
      'green could not apply a change and stopped: insert of table public.people, row with id = 1000: new row for relation "people" violates check constraint "known" (SQLSTATE 23514); constraint public.people.known was added on green',
    );
    expect(lasting).to.equal(true);
    const cut = await found(0);
    expect(cut.problem).to.include(
      'the first 1 changes of the next transaction can be applied, and more were not tried',
    );
    expect(cut.lasting).to.equal(false);
    expect(await position(), 'the slot').to.equal(before);
  });

  it('a lock: it is named, and the replication goes on by itself once the lock is gone [L]', async () => {
    await follow();
    const holder = await connect(rig.green.access, 'owner', { applicationName: 'a job' });
    try {
      await holder.query('BEGIN; LOCK TABLE people');
      await rig.run(rig.blue, person);
      const cancel = `SELECT pg_cancel_backend(pid) FROM pg_stat_subscription WHERE cardinality(pg_blocking_pids(pid)) > 0`;
      while ((await admin(cancel)).rowCount === 0) await sleep(20);
      await stopped();
      const { problem } = await syncStatus(link());
      expect(problem).to.include('insert of table public.people, row with id = 7');
      expect(problem).to.include('canceling statement due to lock timeout (SQLSTATE 55P03)');
      expect(problem).to.match(
        /process \d+ of owner \(a job\), idle in transaction for \d+ ms, AccessExclusiveLock on public\.people/,
      );
      await holder.query('ROLLBACK');
      expect(await reviveLink(link(), noTries())).to.equal(true);
      await waitForSync(link(), { timeoutMs: 20_000 });
    } finally {
      await close(holder);
    }
  });

  const copies: Record<string, { planted: string; says: string }> = {
    'a CHECK': {
      planted: `ALTER TABLE people ADD CONSTRAINT short CHECK (length(name) < 6)`,
      says: 'a row violates a CHECK constraint, or no partition of the other side takes it (SQLSTATE 23514)',
    },
    'a missing partition': {
      planted: 'DROP TABLE parts_1',
      says: 'a row violates a CHECK constraint, or no partition of the other side takes it (SQLSTATE 23514)',
    },
  };
  for (const [what, { planted, says }] of Object.entries(copies)) {
    it(`the initial copy of rows, ${what} [L]`, async () => {
      await rig.fresh(`${schema} INSERT INTO parts VALUES (5, 5, 'x')`);
      await copySchema(rig.blue.access, rig.green.access);
      await admin(planted);
      const error = await startSync(rig.blue, rig.green).catch((e: unknown) => e);
      expect(error).to.have.property('found').that.includes(says);
      await stopSync(link());
      expect(
        await withClient(rig.blue.access, 'admin', (c) => rows(c, 'SELECT 1 FROM pg_replication_slots')),
      ).to.have.length(0);
    });
  }
});
