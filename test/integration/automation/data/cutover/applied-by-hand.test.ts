import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import { cutover } from '../../../../../automation/data/cutover/cutover.ts';
import { rows, withClient } from '../../../../../automation/data/connect.ts';
import { linkBetween, type Side } from '../../../../../automation/data/link.ts';
import { startSync, syncStatus, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { createRig, expand, type Rig } from '../rig.ts';
import { MemoryRouter } from '../traffic.ts';

/** Kinds of tables, and changes of each that wait behind a row that does not fit. */
const kinds: [title: string, tables: string[], schema: string, changes: string][] = [
  [
    'keys of every kind of type: domains, enums, composites, ranges, types of extensions',
    ['mood_keys', 'pairs', 'ranges', 'words', 'paths', 'short'],
    `CREATE TYPE mood AS ENUM ('calm', 'glad'); CREATE DOMAIN feeling AS mood; CREATE TYPE pair AS (a int, b text);
     CREATE EXTENSION citext; CREATE EXTENSION ltree; CREATE DOMAIN code AS varchar(3);
     CREATE TABLE mood_keys (k feeling PRIMARY KEY, n int); INSERT INTO mood_keys VALUES ('calm', 0);
     CREATE TABLE pairs (k pair PRIMARY KEY, n int); INSERT INTO pairs VALUES ('(1,a)', 0);
     CREATE TABLE ranges (k int4range PRIMARY KEY, n int); INSERT INTO ranges VALUES ('[1,2)', 0);
     CREATE TABLE words (k citext PRIMARY KEY, n int); INSERT INTO words VALUES ('Word', 0);
     CREATE TABLE paths (k ltree PRIMARY KEY, n int); INSERT INTO paths VALUES ('a.b', 0);
     CREATE TABLE short (k code PRIMARY KEY, n int); INSERT INTO short VALUES ('abc', 0)`,
    `UPDATE mood_keys SET n = 1; UPDATE mood_keys SET k = 'glad'; UPDATE pairs SET n = 1; UPDATE pairs SET k = '(2,"a ""b")';
     UPDATE ranges SET n = 1; UPDATE ranges SET k = 'empty'; UPDATE words SET n = 1; UPDATE words SET k = 'WORD';
     UPDATE paths SET n = 1; UPDATE paths SET k = 'a.b.c'; UPDATE short SET n = 1; UPDATE short SET k = 'abd'`,
  ],
  [
    'whole rows, of types of extensions and with values that are equal and look different',
    ['whole'],
    `CREATE EXTENSION hstore; CREATE TABLE whole (n numeric, f float8, t text, h hstore, c char(4), j jsonb, id int); ALTER TABLE whole REPLICA IDENTITY FULL;
     INSERT INTO whole SELECT v::numeric, z::float8, NULL, 'a=>1', 'ab', '{"a": 1.0}', 0 FROM unnest('{1,1.0,1.00}'::text[], '{0,-0,0}'::text[]) x (v, z)`,
    `UPDATE whole SET id = 1 WHERE n::text = '1.0'; UPDATE whole SET t = 'x' WHERE n::text = '1.00'; DELETE FROM whole WHERE n::text = '1'`,
  ],
  [
    'numbers that PostgreSQL gives itself, given anew, beside a large value that is not sent',
    ['numbered', 'unkeyed'],
    `CREATE TABLE numbered (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, big text, twice int GENERATED ALWAYS AS (id * 2) STORED); ALTER TABLE numbered ALTER big SET STORAGE EXTERNAL;
     INSERT INTO numbered (big) VALUES (repeat('x', 9000)), ('small');
     CREATE TABLE unkeyed (id int GENERATED ALWAYS AS IDENTITY, v int); ALTER TABLE unkeyed REPLICA IDENTITY FULL; INSERT INTO unkeyed (v) VALUES (1), (2)`,
    `UPDATE numbered SET id = DEFAULT WHERE id = 1; UPDATE numbered SET big = 'other' WHERE id = 2; UPDATE unkeyed SET id = DEFAULT WHERE id = 1; UPDATE unkeyed SET v = 3 WHERE id = 2`,
  ],
  [
    'columns that are called like properties of objects',
    ['constructor'],
    `CREATE TABLE "constructor" (id int PRIMARY KEY, "constructor" text, "toString" int, "__proto__" int); ALTER TABLE "constructor" ALTER "constructor" SET STORAGE EXTERNAL;
     INSERT INTO "constructor" VALUES (1, repeat('x', 9000), 1, 1)`,
    `UPDATE "constructor" SET "__proto__" = 2, "toString" = 3; INSERT INTO "constructor" VALUES (2, 'x', 1, 5)`,
  ],
  [
    'tables that are emptied with those that refer to them',
    ['parents', 'children'],
    `CREATE TABLE parents (id int PRIMARY KEY); CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents);
     INSERT INTO parents VALUES (1), (2); INSERT INTO children VALUES (1, 1)`,
    `TRUNCATE parents CASCADE; INSERT INTO parents VALUES (3)`,
  ],
];

/** What a stopped replication has not applied, applied by hand at the way back: as an apply worker does it. */
describe('a way back that is applied by hand', () => {
  const settings = { holdMs: 4000, drainMs: 1000 };
  let rig: Rig;
  let unequal: string[];

  before(async () => {
    rig = await createRig();
    const { blue, green } = rig;
    await rig.fresh('CREATE TABLE stops (n int PRIMARY KEY)');
    for (const [, , schema] of kinds) await rig.run(blue, schema);
    const router = new MemoryRouter();
    await expand(rig, 'ALTER TABLE stops ALTER n TYPE bigint');
    await waitForSync(await startSync(blue, green), { timeoutMs: 30_000 });
    await cutover({ router, from: blue, to: green, direction: 'forward', settings });
    await rig.run(green, 'INSERT INTO stops VALUES (5000000000)');
    for (const [, , , changes] of kinds) await rig.run(green, changes);
    while ((await syncStatus(linkBetween(green, blue))).state !== 'broken') await sleep(50);
    const back = await cutover({ router, from: green, to: blue, direction: 'rollback', settings, rest: 'apply' });
    unequal = back.tables.filter(({ equal }) => !equal).map(({ table }) => table);
  });
  after(() => rig.dispose());

  it('leaves out the row that does not fit, and nothing else [D9]', () => {
    expect(unequal).to.deep.equal(['public.stops']);
  });

  for (const [title, tables] of kinds)
    it(`has ${title} [D9]`, async () => {
      const content = (side: Side, table: string) =>
        withClient(side.access, 'admin', (client) =>
          rows(client, `SELECT t::text AS row FROM "${table}" t ORDER BY t::text COLLATE "C"`),
        );
      for (const table of tables)
        expect(await content(rig.blue, table), table).to.deep.equal(await content(rig.green, table));
    });
});
