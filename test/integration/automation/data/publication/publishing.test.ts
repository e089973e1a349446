import { expect } from 'chai';
import { close, connect, withClient } from '../../../../../automation/data/connect.ts';
import { preconditions } from '../../../../../automation/data/publication/preconditions.ts';
import { copySchema } from '../../../../../automation/data/copying/schema.ts';
import { startSync, stopSync, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import type { OperationError } from '../../../../../infra/lib/errors.ts';
import { createRig, value, type Rig } from '../rig.ts';
import { refused, Writer } from '../writer.ts';

/** What PostgreSQL takes as a row's identity, where publishing would make the application's UPDATE and DELETE fail. */
describe('publishing the live database', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());

  /** Tries to replicate while the application writes. Resolves to the refusal; no statement of the application failed. */
  async function refusedUnderWrites(schema: string, writes: string[]): Promise<OperationError> {
    await rig.fresh(schema);
    await copySchema(rig.blue.access, rig.green.access);
    const writer = new Writer(rig.blue.access, writes);
    try {
      await writer.more(5);
      const error = await refused(startSync(rig.blue, rig.green));
      await writer.more(5);
      return error;
    } finally {
      await writer.stop();
      await stopSync({ name: 'greenlight_to_green', from: rig.blue, to: rig.green });
      expect(writer.failures, 'statements of the application that failed').to.deep.equal([]);
    }
  }

  /** Does what the message says, as owner, and replicates an UPDATE and a DELETE. */
  async function replicatesAfter(cure: string, writes: string[], left: string): Promise<void> {
    await rig.run(rig.blue, cure);
    await rig.run(rig.green, 'DROP SCHEMA public CASCADE; CREATE SCHEMA public');
    await withClient(rig.green.access, 'admin', (admin) => admin.query('GRANT USAGE ON SCHEMA public TO app_reader'));
    await copySchema(rig.blue.access, rig.green.access).catch(async () => {
      await rig.run(rig.green, 'DROP SCHEMA public CASCADE');
      await copySchema(rig.blue.access, rig.green.access);
    });
    const link = await startSync(rig.blue, rig.green);
    await waitForSync(link, { timeoutMs: 20_000 });
    for (const sql of writes) await withClient(rig.blue.access, 'app', (app) => app.query(sql));
    await waitForSync(link, { timeoutMs: 20_000 });
    expect(await value(rig.green, left)).to.equal(await value(rig.blue, left));
    await stopSync(link);
  }

  const items = `CREATE TABLE items (id int PRIMARY KEY DEFERRABLE, pos int);
    INSERT INTO items SELECT i, i FROM generate_series(1, 1000) i;`;
  const changeItems = ['UPDATE items SET pos = pos + 1 WHERE id = 7', 'DELETE FROM items WHERE pos < 0'];
  const sumOfItems = 'SELECT sum(pos)::text FROM items';

  it('refuses a deferrable key before anything fails [A1]', async () => {
    const error = await refusedUnderWrites(items, changeItems);
    expect(error.todo).to.include('public.items').and.to.include('deferrable');
    await replicatesAfter(
      'ALTER TABLE items DROP CONSTRAINT items_pkey, ADD CONSTRAINT items_pkey PRIMARY KEY (id)',
      changeItems,
      sumOfItems,
    );
  });

  it('offers REPLICA IDENTITY FULL where the key has to stay deferrable [A1]', async () => {
    const error = await refusedUnderWrites(items, changeItems);
    expect(error.todo).to.include('ALTER TABLE "public"."items" REPLICA IDENTITY FULL');
    await replicatesAfter('ALTER TABLE items REPLICA IDENTITY FULL', changeItems, sumOfItems);
  });

  const parted = `CREATE TABLE e (at int, w text) PARTITION BY RANGE (at);
    CREATE TABLE e_1 PARTITION OF e FOR VALUES FROM (0) TO (10);
    CREATE TABLE e_2 PARTITION OF e FOR VALUES FROM (10) TO (30) PARTITION BY RANGE (at);
    CREATE TABLE e_21 PARTITION OF e_2 FOR VALUES FROM (10) TO (20);
    INSERT INTO e SELECT i, '' FROM generate_series(0, 19) i;`;
  const changeE = [
    `UPDATE e SET w = w || '.' WHERE at = 3`,
    `UPDATE e SET w = 'y' WHERE at = 12`,
    'DELETE FROM e WHERE at < 0',
  ];

  it('checks each partition, and names each in the cure [A2]', async () => {
    const error = await refusedUnderWrites(`${parted} ALTER TABLE e REPLICA IDENTITY FULL;`, changeE);
    for (const leaf of ['e_1', 'e_21'])
      expect(error.todo).to.include(`ALTER TABLE "public"."${leaf}" REPLICA IDENTITY FULL`);
    const cure = error.todo.match(/ALTER TABLE "public"."e_\d+" REPLICA IDENTITY FULL/g)?.join(';') ?? '';
    await replicatesAfter(cure, changeE, `SELECT string_agg(w, ',' ORDER BY at) FROM e`);
  });

  it('refuses a root without REPLICA IDENTITY FULL over partitions that have it [A2]', async () => {
    const error = await refusedUnderWrites(
      `${parted} ALTER TABLE e_1 REPLICA IDENTITY FULL; ALTER TABLE e_21 REPLICA IDENTITY FULL;`,
      changeE,
    );
    expect(error.todo).to.include('ALTER TABLE "public"."e" REPLICA IDENTITY FULL');
    await replicatesAfter(
      'ALTER TABLE e REPLICA IDENTITY FULL',
      changeE,
      `SELECT string_agg(w, ',' ORDER BY at) FROM e`,
    );
  });

  it('offers a unique index over columns that are never NULL as the identity [A6]', async () => {
    const pairs = `CREATE TABLE pairs (a int NOT NULL, b int NOT NULL, c int, "n" int DEFAULT 0);
      CREATE UNIQUE INDEX may_be_null ON pairs (c); CREATE UNIQUE INDEX partial ON pairs (a) WHERE b = 0; CREATE UNIQUE INDEX computed ON pairs ((a * 10 + b));
      CREATE UNIQUE INDEX "Both" ON pairs (a, b); INSERT INTO pairs SELECT i / 10, i % 10, i FROM generate_series(0, 99) i;`;
    const change = ['UPDATE pairs SET n = n + 1 WHERE a = 7', 'DELETE FROM pairs WHERE a < 0'];
    const error = await refusedUnderWrites(pairs, change);
    const cure = 'ALTER TABLE "public"."pairs" REPLICA IDENTITY USING INDEX "Both"';
    expect(error.todo).to.include(cure);
    await replicatesAfter(cure, change, 'SELECT sum(n)::text FROM pairs');
  });

  it('refuses REPLICA IDENTITY FULL with a type that has no equality [A5]', async () => {
    const error = await refusedUnderWrites(
      `CREATE DOMAIN place AS point; CREATE TYPE pair AS (a int, b json);
       CREATE TABLE a (id int, j json); CREATE TABLE b (id int, p place, x xml[]); CREATE TABLE c (id int, q pair, t text[], r int4range, d jsonb);
       ALTER TABLE a REPLICA IDENTITY FULL; ALTER TABLE b REPLICA IDENTITY FULL; ALTER TABLE c REPLICA IDENTITY FULL;
       CREATE TABLE keyed (id int PRIMARY KEY, j json); ALTER TABLE keyed REPLICA IDENTITY FULL;
       INSERT INTO a VALUES (1, '{}');`,
      [`UPDATE a SET id = id + 1`, `DELETE FROM a WHERE id < 0`],
    );
    expect(error.found).to.equal('3 preconditions are not met');
    for (const text of ['j (json)', 'p (place)', 'x (xml[])', 'q (pair)']) expect(error.todo).to.include(text);
    for (const text of ['t (text[])', 'r (int4range)', 'd (jsonb)', 'keyed']) expect(error.todo).not.to.include(text);
  });

  it('reports REPLICA IDENTITY NOTHING, with the cure [A6]', async () => {
    const error = await refusedUnderWrites(
      `CREATE TABLE t (id int PRIMARY KEY, n int); ALTER TABLE t REPLICA IDENTITY NOTHING; INSERT INTO t VALUES (1, 1);`,
      ['UPDATE t SET n = n + 1', 'DELETE FROM t WHERE id < 0'],
    );
    expect(error.todo).to.include('REPLICA IDENTITY NOTHING').and.not.to.include('has no primary key');
    expect(error.todo).to.include('ALTER TABLE "public"."t" REPLICA IDENTITY DEFAULT');
    await replicatesAfter(
      'ALTER TABLE t REPLICA IDENTITY DEFAULT',
      ['UPDATE t SET n = n + 1'],
      'SELECT sum(n)::text FROM t',
    );
  });

  it('reports a dropped identity index, keys with generated columns, and partitions with an identity of their own [A6]', async () => {
    const error = await refusedUnderWrites(
      `CREATE TABLE lost (id int NOT NULL, n int); CREATE UNIQUE INDEX lost_id ON lost (id); ALTER TABLE lost REPLICA IDENTITY USING INDEX lost_id; DROP INDEX lost_id;
       CREATE TABLE made (id int, twice int GENERATED ALWAYS AS (id * 2) STORED, PRIMARY KEY (id, twice));
       CREATE TABLE p (id int, code int NOT NULL, PRIMARY KEY (id)) PARTITION BY RANGE (id);
       CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (0) TO (10); CREATE UNIQUE INDEX p_1_code ON p_1 (code); ALTER TABLE p_1 REPLICA IDENTITY USING INDEX p_1_code;
       CREATE TABLE q (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE UNLOGGED TABLE q_1 PARTITION OF q FOR VALUES FROM (0) TO (10);
       CREATE TABLE empty (); CREATE TABLE generated (a int GENERATED ALWAYS AS (1) STORED, b int GENERATED ALWAYS AS IDENTITY);`,
      ['UPDATE lost SET n = 1', 'UPDATE p SET code = 2 WHERE id = 1', 'DELETE FROM generated'],
    );
    for (const name of ['lost', 'made', 'p_1', 'q_1', 'empty', 'generated'])
      expect(error.todo, name).to.match(new RegExp(`public\\.${name}[ :]`));
  });

  it('says of a table without a column that is sent that only another one helps [A6]', async () => {
    await rig.fresh(`CREATE TABLE empty (); CREATE TABLE whole (); ALTER TABLE whole REPLICA IDENTITY FULL;
      CREATE TABLE computed (a int GENERATED ALWAYS AS (1) STORED); ALTER TABLE computed REPLICA IDENTITY FULL`);
    const found = (await preconditions(rig.blue.access)).filter(({ severity }) => severity === 'error');
    expect(found.map(({ found: text }) => /public\.\w+/.exec(text)?.[0])).to.have.members([
      'public.empty',
      'public.whole',
      'public.computed',
    ]);
    for (const { cure } of found)
      expect(cure).to.match(/, or: drop it where nothing needs it: it has no column that is sent$/);
  });

  it('names an event trigger as what may refuse a publication, and no key [C6]', async () => {
    await rig.fresh('CREATE TABLE t (id int PRIMARY KEY)');
    const admin = (sql: string) => withClient(rig.blue.access, 'admin', (client) => client.query(sql));
    await admin(`CREATE FUNCTION public.guard() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not here'; END $$;
      CREATE EVENT TRIGGER guard ON ddl_command_start WHEN TAG IN ('CREATE PUBLICATION') EXECUTE FUNCTION public.guard()`);
    try {
      const [found] = (await preconditions(rig.blue.access)).filter(({ severity }) => severity === 'error');
      expect(found?.found).to.equal('table public.t cannot be published: not here');
      expect(found?.cure).to.include('ALTER EVENT TRIGGER guard DISABLE').and.not.include('REPLICA IDENTITY');
    } finally {
      await admin('DROP EVENT TRIGGER guard');
    }
  });

  it('tests without firing a trigger, using a sequence, or keeping a lock', async () => {
    await rig.fresh(
      `CREATE SEQUENCE fired; CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('fired'); RETURN NULL; END $$;
       CREATE TABLE t (id int PRIMARY KEY, n int); CREATE TABLE keyless (n int); CREATE TABLE more (id int, n int, PRIMARY KEY (id) INCLUDE (n));
       CREATE TRIGGER a BEFORE UPDATE OR DELETE ON t FOR EACH STATEMENT EXECUTE FUNCTION fire(); ALTER TABLE t ENABLE ALWAYS TRIGGER a;
       CREATE RULE r AS ON UPDATE TO t WHERE false DO ALSO SELECT nextval('fired');
       ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (nextval('fired') < 0);`,
    );
    // What an owner may have set for the application acts on no session of ours.
    await rig.run(
      rig.blue,
      `ALTER DATABASE app SET default_transaction_read_only = on; ALTER DATABASE app SET row_security = off; ALTER DATABASE app SET lock_timeout = 1`,
    );
    const busy = await connect(rig.blue.access, 'owner');
    try {
      await busy.query('SET row_security = on; SET default_transaction_read_only = off');
      await busy.query('BEGIN; INSERT INTO keyless VALUES (1); SELECT * FROM t FOR UPDATE');
      const found = await preconditions(rig.blue.access);
      expect(found.filter((f) => f.severity === 'error').map((f) => f.found)).to.have.length(1);
      expect(await value<boolean>(rig.blue, 'SELECT is_called FROM fired')).to.equal(false);
      expect(await value<string>(rig.blue, 'SELECT count(*)::text FROM pg_publication')).to.equal('0');
    } finally {
      await busy.query('ROLLBACK');
      await busy.query('ALTER DATABASE app RESET ALL');
      await close(busy);
    }
  });

  it('gives up on a locked table, says how to find the holder, and lets the application write meanwhile', async () => {
    await rig.fresh('CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 1);');
    const busy = await connect(rig.blue.access, 'owner');
    const writer = new Writer(rig.blue.access, ['UPDATE t SET n = n + 1']);
    try {
      await busy.query('BEGIN; LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE');
      const error = await refused(startSync(rig.blue, rig.green));
      expect(`${error.found} ${error.todo}`).to.include('public.t').and.to.include('lock');
      await writer.more(5);
      expect(writer.slowestMs).to.be.lessThan(5_000);
    } finally {
      await close(busy);
      await writer.stop();
    }
    expect(writer.failures).to.deep.equal([]);
  });
});
