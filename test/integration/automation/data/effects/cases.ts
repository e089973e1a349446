import { schemaV1 } from '../rig.ts';

export const schema = `${schemaV1}
  CREATE SCHEMA shop;
  CREATE DOMAIN shop.zip AS text CHECK (VALUE ~ '^[0-9]+$');
  CREATE TYPE shop.pair AS (a int, b text);
  CREATE TABLE shop."Odd orders" (id int PRIMARY KEY, code varchar(20) NOT NULL, note text, zip shop.zip, n int DEFAULT 0 NOT NULL, at timestamptz DEFAULT now(),
    CONSTRAINT positive CHECK (n >= 0));
  CREATE UNIQUE INDEX codes ON shop."Odd orders" (code);
  CREATE INDEX notes ON shop."Odd orders" (note);
  INSERT INTO shop."Odd orders" SELECT i, 'code ' || i, 'note', '1' FROM generate_series(1, 50) i;
  CREATE TABLE log (at date NOT NULL, w text, id int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
  CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
  INSERT INTO log VALUES ('2020-02-02', 'a', 1);
  CREATE TABLE "Odd log" (at date NOT NULL, w text, PRIMARY KEY (at)) PARTITION BY RANGE (at);
  CREATE TABLE "Odd log_1" PARTITION OF "Odd log" FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
  CREATE TABLE private (id int PRIMARY KEY, t text);
  ALTER TABLE private ENABLE ROW LEVEL SECURITY;
  CREATE TABLE schema_migrations (version text PRIMARY KEY);
  INSERT INTO schema_migrations VALUES ('1');
  CREATE SEQUENCE numbers;
  CREATE FUNCTION price(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
  CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
  CREATE TRIGGER touch BEFORE UPDATE ON shop."Odd orders" FOR EACH ROW EXECUTE FUNCTION touch();
  CREATE TRIGGER off BEFORE UPDATE ON counters FOR EACH ROW EXECUTE FUNCTION touch();
  ALTER TABLE counters DISABLE TRIGGER off;
  CREATE VIEW open_orders AS SELECT id FROM shop."Odd orders";`;

export const odd = 'shop."Odd orders"';

/** What a command does, and what is found: `!` stops the release. */
export const cases: [what: string, sql: string, found: string[]][] = [
  ['nothing', 'SELECT 1', []],
  [
    'a new column and a new table',
    'ALTER TABLE accounts ADD points int; CREATE TABLE badges (id int PRIMARY KEY); INSERT INTO badges VALUES (1)',
    [],
  ],
  ['a new index', 'CREATE INDEX ON accounts (mood)', []],
  ['a dropped column', `ALTER TABLE ${odd} DROP COLUMN note`, [`!breaks-old-version ${odd}`]],
  ['a renamed column', 'ALTER TABLE accounts RENAME balance TO money', ['!breaks-old-version public.accounts']],
  [
    'a column that is made again',
    `ALTER TABLE ${odd} DROP COLUMN at, ADD COLUMN at timestamptz DEFAULT now()`,
    [`!breaks-old-version ${odd}`],
  ],
  ['a dropped table', 'DROP TABLE settings', ['!breaks-old-version public.settings']],
  ['a renamed table', 'ALTER TABLE settings RENAME TO options', ['!breaks-old-version public.settings']],
  ['a table that moves', 'ALTER TABLE settings SET SCHEMA shop', ['!breaks-old-version public.settings']],
  [
    'a table that is made again',
    'DROP TABLE counters; CREATE TABLE counters (id int PRIMARY KEY, n bigint NOT NULL DEFAULT 0)',
    ['!breaks-old-version public.counters'],
  ],
  [
    'a narrower type',
    `ALTER TABLE ${odd} ALTER code TYPE varchar(10)`,
    [`!breaks-old-version ${odd}`, `long-lock ${odd}`],
  ],
  ['a wider type', `ALTER TABLE ${odd} ALTER code TYPE varchar(40)`, [`loosens ${odd}`]],
  [
    'a wider number, for which the table is written anew',
    'ALTER TABLE counters ALTER id TYPE bigint',
    ['loosens public.counters', 'long-lock public.counters'],
  ],
  [
    'a column without default that must not be null',
    'ALTER TABLE badges_of ADD x int NOT NULL',
    ['!breaks-old-version public.badges_of'],
  ],
  ['one with a default', `ALTER TABLE ${odd} ADD x int NOT NULL DEFAULT 1`, []],
  ['NOT NULL', `ALTER TABLE ${odd} ALTER note SET NOT NULL`, [`!breaks-old-version ${odd}`]],
  ['no NOT NULL', `ALTER TABLE ${odd} ALTER code DROP NOT NULL`, [`loosens ${odd}`]],
  ['a default that went', `ALTER TABLE ${odd} ALTER n DROP DEFAULT`, [`breaks-old-version ${odd}`]],
  ['a CHECK', `ALTER TABLE ${odd} ADD CHECK (n < 100) NOT VALID`, [`!breaks-old-version ${odd}`]],
  [
    'a unique constraint',
    'ALTER TABLE accounts ADD UNIQUE (id, mood), ADD UNIQUE (balance)',
    ['!breaks-old-version public.accounts'],
  ],
  ['a unique index', `CREATE UNIQUE INDEX ON ${odd} (note, n) WHERE id > 1000`, [`!breaks-old-version ${odd}`]],
  [
    'a foreign key',
    `ALTER TABLE ${odd} ADD account bigint, ADD FOREIGN KEY (n) REFERENCES counters NOT VALID`,
    [`!breaks-old-version ${odd}`],
  ],
  ['a foreign key of a new column', `ALTER TABLE ${odd} ADD account bigint REFERENCES accounts`, []],
  ['a CHECK that went', `ALTER TABLE ${odd} DROP CONSTRAINT positive`, [`loosens ${odd}`]],
  ['a unique index that went', 'DROP INDEX shop.codes', [`loosens ${odd}`]],
  ['an index that went', 'DROP INDEX shop.notes', []],
  [
    'other names of an index and a constraint',
    `ALTER INDEX shop.codes RENAME TO coded; ALTER TABLE ${odd} RENAME CONSTRAINT positive TO plus`,
    [],
  ],
  [
    'another primary key',
    `ALTER TABLE ${odd} DROP CONSTRAINT "Odd orders_pkey", ADD PRIMARY KEY (id, code)`,
    [`!breaks-replication ${odd}`],
  ],
  ['replica identity', `ALTER TABLE ${odd} REPLICA IDENTITY NOTHING`, [`!breaks-replication ${odd}`]],
  ['replica identity of all columns', `ALTER TABLE ${odd} REPLICA IDENTITY FULL`, [`breaks-replication ${odd}`]],
  [
    'replica identity by an index',
    `ALTER TABLE ${odd} REPLICA IDENTITY USING INDEX codes`,
    [`breaks-replication ${odd}`],
  ],
  [
    'an unlogged table',
    'ALTER TABLE counters SET UNLOGGED',
    ['!breaks-replication public.counters', 'long-lock public.counters'],
  ],
  ['identity', 'ALTER TABLE accounts ALTER id SET GENERATED BY DEFAULT', ['breaks-old-version public.accounts']],
  ['a value of an enum', `ALTER TYPE mood ADD VALUE 'odd'`, ['loosens public.mood']],
  ['a renamed value', `ALTER TYPE mood RENAME VALUE 'glad' TO 'happy'`, ['!breaks-old-version public.mood']],
  ['a stricter domain', 'ALTER DOMAIN shop.zip SET NOT NULL', ['!breaks-old-version shop.zip']],
  ['a looser domain', 'ALTER DOMAIN shop.zip DROP CONSTRAINT zip_check', ['loosens shop.zip']],
  ['a type that went', 'DROP TYPE shop.pair', ['!breaks-old-version shop.pair']],
  ['an attribute', 'ALTER TYPE shop.pair ADD ATTRIBUTE c int', ['breaks-old-version shop.pair.c']],
  [
    'a partition',
    `CREATE TABLE log_2 PARTITION OF log FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')`,
    ['loosens public.log_2'],
  ],
  [
    'a detached partition',
    'ALTER TABLE log DETACH PARTITION log_1',
    ['breaks-old-version public.log_1', 'changes-rows public.log'],
  ],
  [
    'a partition of a table with an odd name',
    `CREATE TABLE "Odd log_2" PARTITION OF "Odd log" FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')`,
    ['loosens public."Odd log_2"'],
  ],
  [
    'one that is detached',
    'ALTER TABLE "Odd log" DETACH PARTITION "Odd log_1"',
    ['breaks-old-version public."Odd log_1"'],
  ],
  [
    'a partition with narrower bounds',
    `ALTER TABLE "Odd log" DETACH PARTITION "Odd log_1"; ALTER TABLE "Odd log" ATTACH PARTITION "Odd log_1" FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')`,
    ['breaks-old-version public."Odd log_1"'],
  ],
  ['NOT NULL of one partition', 'ALTER TABLE log_1 ALTER w SET NOT NULL', ['!breaks-old-version public.log_1']],
  ['NOT NULL of all', 'ALTER TABLE log ALTER w SET NOT NULL', ['!breaks-old-version public.log']],
  ['a parent', 'ALTER TABLE private INHERIT badges_of', ['breaks-old-version public.private']],
  [
    'policies that no longer count',
    'ALTER TABLE private DISABLE ROW LEVEL SECURITY',
    ['breaks-old-version public.private'],
  ],
  [
    'an expression that went',
    'ALTER TABLE entries ALTER length DROP EXPRESSION',
    ['breaks-old-version public.entries.length'],
  ],
  [
    'a collation',
    'ALTER TABLE settings ALTER value TYPE text COLLATE "C"',
    ['breaks-old-version public.settings.value'],
  ],
  [
    'a setting',
    `ALTER ROLE CURRENT_USER SET statement_timeout = 5000`,
    ['breaks-old-version statement_timeout of role owner'],
  ],
  [
    'a database with another search path',
    `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = shop', current_database()); END $$`,
    ['breaks-old-version search_path of this database'],
  ],
  [
    'an enum in another order',
    `CREATE TYPE mood_2 AS ENUM ('glad', 'calm'); ALTER TABLE accounts ALTER mood DROP DEFAULT, ALTER mood TYPE mood_2 USING mood::text::mood_2;
      DROP TYPE mood; ALTER TYPE mood_2 RENAME TO mood; ALTER TABLE accounts ALTER mood SET DEFAULT 'calm'`,
    ['breaks-old-version public.mood', 'long-lock public.accounts'],
  ],
  ['a new table without a key', 'CREATE TABLE heap (x int)', ['breaks-replication public.heap']],
  [
    'a function that is another one',
    `CREATE OR REPLACE FUNCTION price(int) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1'`,
    ['breaks-old-version public.price(integer)'],
  ],
  ['a function that went', 'DROP FUNCTION price', ['breaks-old-version public.price(integer)']],
  [
    'a view that is another one',
    `CREATE OR REPLACE VIEW open_orders AS SELECT id FROM ${odd} WHERE n > 0`,
    ['breaks-old-version public.open_orders'],
  ],
  [
    'a trigger, a rule, a policy',
    `CREATE TRIGGER more AFTER INSERT ON ${odd} FOR EACH ROW EXECUTE FUNCTION touch(); CREATE RULE keep AS ON DELETE TO counters DO INSTEAD NOTHING; CREATE POLICY mine ON counters USING (true); ALTER TABLE counters ENABLE ROW LEVEL SECURITY`,
    [
      'breaks-old-version keep on public.counters',
      'breaks-old-version mine on public.counters',
      `breaks-old-version more on ${odd}`,
      'breaks-old-version public.counters',
    ],
  ],
  ['a trigger that is switched off', `ALTER TABLE ${odd} DISABLE TRIGGER touch`, [`!breaks-replication ${odd}`]],
  [
    'triggers that fire for replicated rows, or fire again',
    `ALTER TABLE ${odd} ENABLE ALWAYS TRIGGER touch; ALTER TABLE counters ENABLE TRIGGER off`,
    ['breaks-old-version off on public.counters', `breaks-old-version touch on ${odd}`],
  ],
  ['a trigger that went', `DROP TRIGGER touch ON ${odd}`, [`breaks-old-version ${odd}`]],
  ['a sequence', 'ALTER SEQUENCE numbers INCREMENT 5', ['breaks-old-version public.numbers']],
  [
    'a right that went',
    'GRANT SELECT ON counters TO app_reader; REVOKE EXECUTE ON FUNCTION price FROM PUBLIC',
    ['breaks-old-version ON ROUTINE public.price(integer) TO PUBLIC'],
  ],
  [
    'rows',
    `UPDATE ${odd} SET note = 'other' WHERE id <= 3; INSERT INTO schema_migrations VALUES ('2'); DELETE FROM counters WHERE id = 1`,
    ['changes-rows public.counters', 'changes-rows public.schema_migrations', `changes-rows ${odd}`],
  ],
  [
    'values that change places',
    `UPDATE ${odd} SET code = CASE id WHEN 1 THEN 'x' ELSE code END WHERE id = 1; UPDATE accounts a SET balance = 501 - a.balance`,
    ['changes-rows public.accounts', `changes-rows ${odd}`],
  ],
  ['a row as it was', `UPDATE ${odd} SET note = note`, []],
  ['all rows deleted', 'DELETE FROM settings', ['changes-rows public.settings']],
  ['an emptied table', 'TRUNCATE settings', ['!breaks-replication public.settings']],
  [
    'a new column that is filled',
    `ALTER TABLE ${odd} ADD x int; UPDATE ${odd} SET x = 1 WHERE id < 10`,
    [`changes-rows ${odd}`],
  ],
  [
    'one with a trigger that always fires',
    `ALTER TABLE ${odd} ADD x int; CREATE TRIGGER fill BEFORE INSERT OR UPDATE ON ${odd} FOR EACH ROW EXECUTE FUNCTION touch();
      ALTER TABLE ${odd} ENABLE ALWAYS TRIGGER fill; UPDATE ${odd} SET x = 1`,
    [`breaks-old-version fill on ${odd}`],
  ],
];
