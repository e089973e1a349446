import { expect } from 'chai';
import type pg from 'pg';
import {
  compareRestored,
  openMoment,
  type Moment,
  type RestoredComparison,
} from '../../../../../automation/data/comparison/restored.ts';
import { close, connect, withClient } from '../../../../../automation/data/connect.ts';
import { grantWrites } from '../../../../../infra/application/roles.ts';
import { createLocalBackups } from '../../../../../infra/local/postgres/backups.ts';
import { clusterAccess } from '../../../../../infra/local/postgres/cluster.ts';
import type { DatabaseAccess, ScratchDatabase } from '../../../../../infra/platform/databases.ts';
import { openDatabaseEnvironment, type DatabaseEnvironment } from '../../../infra/local/postgres/environment.ts';

/** A real backup, restored: what it has beside its rows. */
describe('the catalog and the sequences of a restored backup', () => {
  let environment: DatabaseEnvironment;
  let live: DatabaseAccess;
  const opened: (() => Promise<unknown>)[] = [];
  before(async () => {
    environment = await openDatabaseEnvironment('blue');
    live = clusterAccess(environment.cluster.blue);
    await run(live, grantWrites, 'admin');
  });
  afterEach(async () => {
    for (const undo of opened.splice(0)) await undo();
    await run(live, 'DROP SCHEMA shop CASCADE');
  });
  after(() => environment.close());

  const run = (access: DatabaseAccess, sql: string, role: 'admin' | 'owner' = 'owner') =>
    withClient(access, role, (client) => client.query(sql));

  const schema = `CREATE SCHEMA shop; SET search_path = shop;
    CREATE TABLE lessons (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text NOT NULL DEFAULT '-', price int CHECK (price > 0));
    CREATE INDEX by_title ON lessons (title); CREATE VIEW titles AS SELECT title FROM lessons;
    INSERT INTO lessons (title, price) SELECT 'lesson ' || i, i FROM generate_series(1, 100) i;
    CREATE TABLE prices AS SELECT price FROM lessons; CREATE TABLE emptied AS SELECT price FROM lessons;
    CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 2';
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER stamped BEFORE INSERT ON lessons FOR EACH ROW EXECUTE FUNCTION stamp();
    CREATE SEQUENCE up START 500; CREATE SEQUENCE down INCREMENT -3; CREATE SEQUENCE cached CACHE 100; CREATE SEQUENCE ticks AS smallint INCREMENT 10;
    CREATE SEQUENCE around MAXVALUE 5 CYCLE; CREATE UNLOGGED SEQUENCE passing; CREATE SEQUENCE "never used";`;
  const calls = `SELECT nextval('shop.up'), nextval('shop.down'), nextval('shop.cached'), nextval('shop.ticks'), nextval('shop.around'), nextval('shop.passing')
    FROM generate_series(1, 7)`;

  interface Looks {
    before: Moment;
    after: Moment;
    copy: ScratchDatabase;
  }

  /** `first` changes the live database between the first look and the backup, `meanwhile` between the backup and the second look. */
  async function backedUp({ first = 'SELECT 1', meanwhile = 'SELECT 1', busy = false } = {}): Promise<Looks> {
    const session = async (): Promise<pg.Client> => {
      const client = await connect(live, 'admin');
      opened.push(() => close(client));
      return client;
    };
    const before = await openMoment(await session());
    await run(live, first);
    const caller = await session();
    let over = !busy;
    const calling = (async () => {
      while (!over) await caller.query(calls.replace(`, nextval('shop.ticks')`, ''));
    })();
    const backups = createLocalBackups(environment.layout, environment.spec);
    const taking = backups.take('blue', '1.0.0', {}).finally(() => (over = true));
    const [backup] = await Promise.all([taking, calling]);
    await run(live, meanwhile);
    const after = await openMoment(await session());
    const copy = await backups.restore(backup);
    opened.push(() => copy.dispose());
    return { before, after, copy };
  }

  const compare = ({ before, after, copy }: Looks): Promise<RestoredComparison> =>
    withClient(copy.access, 'admin', (client) => compareRestored(before, after, client));

  it('are equal, although a restore drops replication and the right to write', async () => {
    await run(live, `${schema} ${calls}`);
    const replication = `CREATE ROLE publisher SUPERUSER; CREATE PUBLICATION others FOR ALL TABLES; COMMENT ON PUBLICATION others IS 'of others';
      ALTER PUBLICATION others OWNER TO publisher; CREATE PUBLICATION greenlight_to_green FOR TABLE shop.lessons;`;
    await run(live, replication, 'admin');
    await run(live, `SELECT pg_create_logical_replication_slot('others', 'pgoutput')`, 'admin');
    opened.push(() => run(live, `SELECT pg_drop_replication_slot('others')`, 'admin'));
    opened.push(() => run(live, `DROP PUBLICATION others, greenlight_to_green; DROP ROLE publisher`, 'admin'));
    const { tables, structure } = await compare(await backedUp());
    expect(structure).to.deep.include({ sequences: 6, sequencesLeftOut: 2, different: [], unknown: [] });
    expect(structure.objects).to.be.greaterThan(30);
    expect(tables.map(({ equal }) => equal)).to.deep.equal([true, true, true]);
  });

  it('are found by name where they differ [E1]', async () => {
    await run(live, `${schema} ${calls}`);
    const looks = await backedUp();
    const again = (name: string, at: number, was: number): string =>
      `sequence shop.${name} is at ${at} and would give out values again: it was at ${was} before the backup`;
    const damages: [damage: string, repair: string, expected: string][] = [
      [`SELECT setval('shop.up', 505)`, `SELECT setval('shop.up', 506)`, again('up', 505, 506)],
      [`SELECT setval('shop.up', 506, false)`, `SELECT setval('shop.up', 506)`, again('up', 505, 506)],
      [`SELECT setval('shop.down', -16)`, `SELECT setval('shop.down', -19)`, again('down', -16, -19)],
      [`SELECT setval('shop.cached', 6)`, `SELECT setval('shop.cached', 100)`, again('cached', 6, 100)],
      [
        'ALTER TABLE shop.lessons ALTER id RESTART',
        `SELECT setval('shop.lessons_id_seq', 100)`,
        again('lessons_id_seq', 0, 100),
      ],
      [
        `SELECT setval('shop.ticks', 400)`,
        `SELECT setval('shop.ticks', 381)`,
        'sequence shop.ticks is at 400, which is too far: it was at 61 after the backup',
      ],
      [
        `SELECT setval('shop.down', -116)`,
        `SELECT setval('shop.down', -115)`,
        'sequence shop.down is at -116, which is too far: it was at -19 after the backup',
      ],
      [
        'DROP SEQUENCE shop.ticks',
        `CREATE SEQUENCE shop.ticks AS smallint INCREMENT 10; SELECT setval('shop.ticks', 61)`,
        'sequence shop.ticks is missing',
      ],
      [
        `CREATE OR REPLACE FUNCTION shop.twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 3'`,
        `CREATE OR REPLACE FUNCTION shop.twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 2'`,
        'function shop.twice(integer) differs',
      ],
      ['DROP INDEX shop.by_title', 'CREATE INDEX by_title ON shop.lessons (title)', 'index shop.by_title is missing'],
      [
        'REVOKE INSERT ON shop.lessons FROM app_writer',
        'GRANT INSERT ON shop.lessons TO app_writer',
        'grant ON TABLE shop.lessons TO app_writer differs',
      ],
      [
        'GRANT SELECT ON shop.lessons TO PUBLIC',
        'REVOKE SELECT ON shop.lessons FROM PUBLIC',
        'grant ON TABLE shop.lessons TO PUBLIC is only in the copy',
      ],
      [
        'ALTER TABLE shop.lessons DISABLE TRIGGER stamped',
        'ALTER TABLE shop.lessons ENABLE TRIGGER stamped',
        'trigger stamped on shop.lessons differs',
      ],
      [
        `ALTER TABLE shop.lessons ALTER title DROP DEFAULT`,
        `ALTER TABLE shop.lessons ALTER title SET DEFAULT '-'`,
        'column shop.lessons.title differs',
      ],
    ];
    for (const [damage, repair, expected] of damages) {
      await run(looks.copy.access, damage);
      const { structure } = await compare(looks);
      const found = structure.different.filter((text) => !/^(grant|column) .*shop\.ticks/.test(text));
      expect(found, damage).to.deep.equal([expected]);
      await run(looks.copy.access, repair);
    }
    expect((await compare(looks)).structure.different).to.deep.equal([]);
  });

  it('are equal where sequences are called all the time [E1]', async () => {
    await run(live, `${schema} ${calls}`);
    const { structure } = await compare(await backedUp({ busy: true, first: calls, meanwhile: calls }));
    expect(structure).to.deep.include({ sequences: 6, sequencesLeftOut: 2, different: [], unknown: [] });
  });

  describe('where the schema is changed during the backup', () => {
    const first = `SET search_path = shop; CREATE TABLE passing_by (id serial); INSERT INTO passing_by SELECT generate_series(1, 9);
      CREATE OR REPLACE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n + n'; DROP VIEW titles; CREATE SEQUENCE early;`;
    const meanwhile = `SET search_path = shop; DROP TABLE passing_by; CREATE TABLE late (id serial PRIMARY KEY); INSERT INTO late DEFAULT VALUES;
      ALTER TABLE lessons ADD COLUMN level int DEFAULT 1; ALTER TABLE prices ALTER price TYPE bigint; TRUNCATE emptied; CREATE INDEX by_level ON lessons (level); DROP INDEX by_title; GRANT SELECT ON lessons TO PUBLIC;
      ALTER SEQUENCE up RESTART 1; ALTER SEQUENCE down INCREMENT -1; DROP SEQUENCE cached;`;

    it('each object is as before or after', async () => {
      await run(live, `${schema} ${calls}`);
      const { tables, structure } = await compare(await backedUp({ first, meanwhile }));
      expect(structure).to.deep.include({ sequencesLeftOut: 4, different: [], unknown: [] });
      expect(Object.fromEntries(tables.map(({ table, equal, only }) => [table, only ?? equal]))).to.deep.equal({
        'shop.emptied': true,
        'shop.lessons': true,
        'shop.prices': true,
        'shop.late': 'left',
        'shop.passing_by': 'right',
      });
      expect(tables.every(({ equal }) => equal)).to.equal(true);
    });

    it('what nobody changed is found, and what is in a third state is not called equal', async () => {
      await run(live, `${schema} ${calls}`);
      const looks = await backedUp({ first, meanwhile });
      const third = `CREATE OR REPLACE FUNCTION shop.twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 0'`;
      await run(looks.copy.access, `${third}; DROP TRIGGER stamped ON shop.lessons; SELECT setval('shop.ticks', 1)`);
      const { different, unknown } = (await compare(looks)).structure;
      expect(different).to.deep.equal([
        'trigger stamped on shop.lessons is missing',
        'sequence shop.ticks is at 1 and would give out values again: it was at 61 before the backup',
      ]);
      expect(unknown).to.deep.equal([
        'function shop.twice(integer) differs: it was changed during the backup, and is as neither before nor after',
      ]);
    });

    it('a table that is missing is found', async () => {
      await run(live, `${schema} ${calls}`);
      const looks = await backedUp({ first, meanwhile });
      await run(looks.copy.access, 'DROP TABLE shop.lessons');
      expect((await compare(looks)).structure.different).to.include('table shop.lessons is missing');
    });
  });
});
