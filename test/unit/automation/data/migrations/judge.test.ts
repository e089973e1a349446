import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { judgeMigrations, type FileToJudge } from '../../../../../automation/data/migrations/judge.ts';
import { splitStatements } from '../../../../../automation/data/migrations/statements.ts';
import { packageRoot } from '../../../../../infra/lib/paths.ts';

type Files = [name: string, as: FileToJudge['as'], sql: string][];

const judged = async (files: Files) =>
  judgeMigrations(
    await Promise.all(files.map(async ([name, as, sql]) => ({ name, as, statements: await splitStatements(sql) }))),
  );

/** What the live side has. */
const live = `
  CREATE TYPE mood AS ENUM ('ok', 'sad');
  CREATE DOMAIN cents AS integer CHECK (value >= 0);
  CREATE TABLE accounts (id bigint PRIMARY KEY, email text NOT NULL UNIQUE, age int CHECK (age > 0), code varchar(20),
    price numeric(8, 2), born date, note text, doc json, mood mood DEFAULT 'ok', tags text[]);
  CREATE TABLE orders (id bigint, account_id bigint CONSTRAINT owned REFERENCES accounts, total cents,
    CONSTRAINT orders_key PRIMARY KEY (id), CONSTRAINT sane CHECK (total < 1000000));
  CREATE TABLE parts (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
  CREATE UNIQUE INDEX orders_account ON orders (account_id, id);
  CREATE INDEX accounts_age ON accounts (age);
  CREATE VIEW adults AS SELECT * FROM accounts WHERE age > 17;
  CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
  CREATE FUNCTION backfill() RETURNS void LANGUAGE sql AS $$ UPDATE accounts SET age = 1 $$;
  CREATE TRIGGER touched BEFORE UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION touch();
  CREATE SEQUENCE numbers;`;

/** `rule`, with `?` where it only warns, of every finding of one expand file. */
const rulesOf = async (sql: string, as: FileToJudge['as'] = 'expand'): Promise<string[]> => {
  const found = await judged([
    ['001.sql', 'applied', live],
    ['002.sql', as, sql],
  ]);
  return found.map(({ rule, stops }) => (stops || rule === 'safe' ? rule : `${rule}?`));
};

const cases: Record<string, [sql: string, ...rules: string[]][]> = {
  safe: [
    ['CREATE TABLE t (id int PRIMARY KEY, a text NOT NULL)', 'safe'],
    ['ALTER TABLE accounts ADD COLUMN a text', 'safe'],
    [`ALTER TABLE accounts ADD COLUMN a text NOT NULL DEFAULT 'x'`, 'safe'],
    ['ALTER TABLE accounts ADD COLUMN a timestamptz NOT NULL DEFAULT now()', 'safe'],
    ['ALTER TABLE accounts ADD COLUMN a int NOT NULL DEFAULT 0 CHECK (a >= 0)', 'safe'],
    ['ALTER TABLE accounts ADD COLUMN a bigint REFERENCES orders', 'safe'],
    ['ALTER TABLE accounts ADD COLUMN IF NOT EXISTS age int NOT NULL', 'safe'],
    ['ALTER TABLE accounts ALTER COLUMN email SET NOT NULL', 'safe'],
    ['ALTER TABLE accounts ALTER COLUMN note DROP NOT NULL', 'safe'],
    ['ALTER TABLE accounts ALTER COLUMN note TYPE varchar', 'safe'],
    [`ALTER TABLE accounts ALTER COLUMN note SET DEFAULT ''`, 'safe'],
    ['ALTER TABLE accounts VALIDATE CONSTRAINT accounts_age_check', 'safe'],
    ['ALTER TABLE accounts ENABLE ALWAYS TRIGGER touched', 'safe'],
    ['ALTER TABLE accounts RENAME CONSTRAINT accounts_age_check TO old_enough', 'safe'],
    ['CREATE OR REPLACE VIEW adults AS SELECT * FROM accounts', 'safe'],
    ['CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN old; END $$', 'safe'],
    ['DROP INDEX accounts_age', 'safe'],
    ['CREATE RULE r AS ON INSERT TO orders DO ALSO (DELETE FROM accounts; SELECT 1)', 'safe'],
    ['CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END', 'safe'],
    [
      `COMMENT ON TABLE accounts IS 'x'; ANALYZE accounts; GRANT SELECT ON accounts TO app_reader`,
      'safe',
      'safe',
      'safe',
    ],
    [`SET search_path TO x; SET lock_timeout = 0; SELECT set_config('search_path', '', false)`, 'safe', 'safe', 'safe'],
    [`DO $$ BEGIN CREATE TYPE x AS ENUM ('a'); EXCEPTION WHEN duplicate_object THEN null; END $$`, 'safe'],
    [`SELECT count(*), max(age) FROM accounts`, 'safe'],
    [`SELECT setval('numbers', 5)`, 'safe'],
    // Of objects that only this version has.
    [
      'CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t ADD COLUMN a int NOT NULL; DROP TABLE t',
      'safe',
      'safe',
      'safe',
    ],
    ['CREATE TABLE t (id int PRIMARY KEY); CREATE UNIQUE INDEX i ON t (id); DROP INDEX i', 'safe', 'safe', 'safe'],
    ['CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT id FROM accounts; TRUNCATE t', 'safe', 'safe', 'safe'],
    ['CREATE TABLE s.t (id int PRIMARY KEY); UPDATE t SET id = 2; ALTER TABLE s.t RENAME TO u', 'safe', 'safe', 'safe'],
    [
      'ALTER TABLE accounts ADD a int; ALTER TABLE accounts RENAME a TO b; ALTER TABLE accounts DROP b',
      'safe',
      'safe',
      'safe',
    ],
    ['ALTER TABLE accounts ADD a int; ALTER TABLE accounts ALTER a TYPE text', 'safe', 'safe'],
    [`CREATE TYPE t AS ENUM ('a'); ALTER TYPE t ADD VALUE 'b'; DROP TYPE t`, 'safe', 'safe', 'safe'],
    ['CREATE VIEW v AS SELECT 1; DROP VIEW v', 'safe', 'safe'],
    ['CREATE TABLE t (id int); ALTER TABLE t ADD PRIMARY KEY (id)', 'safe', 'safe'],
    ['CREATE TEMP TABLE t (id int); INSERT INTO t VALUES (1)', 'safe', 'safe'],
    ['CREATE SCHEMA shop CREATE TABLE t (id int PRIMARY KEY); INSERT INTO shop.t VALUES (1)', 'safe', 'safe'],
    // A unique key whose columns are unique already rules nothing out.
    ['ALTER TABLE orders ADD UNIQUE USING INDEX orders_account', 'safe'],
    ['ALTER TABLE accounts ADD UNIQUE (email, id) DEFERRABLE', 'long-lock?'],
    [
      'SET search_path TO shop; CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE shop.t ADD a int NOT NULL',
      'safe',
      'safe',
      'safe',
    ],
  ],
  'breaks-old-version': [
    ['DROP TABLE orders', 'breaks-old-version'],
    ['DROP TABLE IF EXISTS orders CASCADE', 'breaks-old-version'],
    ['DROP TABLE unheard_of', 'breaks-old-version'],
    ['DROP TABLE IF EXISTS unheard_of', 'breaks-old-version?'],
    ['ALTER TABLE accounts DROP COLUMN note', 'breaks-old-version'],
    ['ALTER TABLE accounts DROP COLUMN IF EXISTS unheard_of', 'breaks-old-version?'],
    ['ALTER TABLE accounts RENAME COLUMN note TO remark', 'breaks-old-version'],
    ['ALTER TABLE accounts RENAME TO users', 'breaks-old-version'],
    ['ALTER TABLE accounts SET SCHEMA shop', 'breaks-old-version'],
    ['ALTER SCHEMA public RENAME TO shop', 'breaks-old-version'],
    ['ALTER VIEW adults RENAME TO grown', 'breaks-old-version'],
    [`ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'`, 'breaks-old-version'],
    ['ALTER TYPE mood RENAME TO feeling', 'breaks-old-version'],
    ['DROP VIEW adults', 'breaks-old-version'],
    ['DROP VIEW adults; CREATE VIEW adults AS SELECT id FROM accounts', 'breaks-old-version?', 'safe'],
    ['DROP SEQUENCE numbers', 'breaks-old-version'],
    ['DROP TYPE mood CASCADE', 'breaks-old-version'],
    ['DROP FUNCTION touch() CASCADE', 'breaks-old-version?'],
    ['DROP TRIGGER touched ON accounts', 'breaks-old-version?'],
    ['ALTER TABLE accounts ADD COLUMN a int NOT NULL', 'breaks-old-version'],
    [
      'ALTER TABLE accounts ADD COLUMN a int; ALTER TABLE accounts ALTER a SET NOT NULL',
      'safe',
      'breaks-old-version',
      'long-lock?',
    ],
    ['ALTER TABLE accounts ADD COLUMN a int UNIQUE DEFAULT 1', 'breaks-old-version', 'long-lock?'],
    ['ALTER TABLE accounts ALTER COLUMN note SET NOT NULL', 'breaks-old-version', 'long-lock?'],
    ['ALTER TABLE accounts ADD CONSTRAINT n NOT NULL note', 'breaks-old-version', 'long-lock?'],
    ['ALTER TABLE accounts ADD CHECK (age < 150)', 'breaks-old-version', 'long-lock?'],
    ['ALTER TABLE accounts ADD CHECK (age < 150) NOT VALID', 'breaks-old-version'],
    ['ALTER TABLE accounts ADD CHECK (note IS NOT NULL) NOT VALID', 'breaks-old-version'],
    [
      'ALTER TABLE accounts DROP CONSTRAINT accounts_age_check, ADD CHECK (age > 16) NOT VALID',
      'loosens?',
      'breaks-old-version?',
    ],
    [
      'ALTER TABLE accounts DROP CONSTRAINT accounts_age_check; ALTER TABLE accounts ADD CHECK (age > 16) NOT VALID',
      'loosens?',
      'breaks-old-version?',
    ],
    ['ALTER TABLE unheard_of ADD PRIMARY KEY USING INDEX i', 'breaks-old-version'],
    ['ALTER TABLE accounts ADD UNIQUE (code)', 'breaks-old-version', 'long-lock?'],
    ['CREATE UNIQUE INDEX i ON accounts (code)', 'breaks-old-version', 'long-lock?'],
    ['CREATE UNIQUE INDEX i ON accounts (lower(email))', 'breaks-old-version', 'long-lock?'],
    ['CREATE UNIQUE INDEX i ON accounts (code) WHERE age > 1', 'breaks-old-version', 'long-lock?'],
    ['CREATE UNIQUE INDEX i ON unheard_of (a)', 'breaks-old-version', 'long-lock?'],
    ['ALTER TABLE accounts ADD EXCLUDE USING gist (born WITH =)', 'breaks-old-version', 'long-lock?'],
    ['ALTER TABLE orders ADD FOREIGN KEY (total) REFERENCES accounts', 'breaks-old-version', 'long-lock?'],
    ['ALTER TABLE orders ADD FOREIGN KEY (total) REFERENCES accounts NOT VALID', 'breaks-old-version'],
    ['ALTER TABLE accounts ALTER COLUMN code TYPE varchar(10)', 'breaks-old-version', 'long-lock?'],
    ['ALTER TABLE accounts ALTER COLUMN age TYPE smallint', 'breaks-old-version', 'long-lock?'],
    ['ALTER TABLE accounts ALTER COLUMN note TYPE int USING note::int', 'breaks-old-version', 'long-lock?'],
    ['ALTER TABLE accounts ALTER COLUMN price TYPE numeric(8, 4)', 'breaks-old-version', 'long-lock?'],
    ['ALTER TABLE accounts ALTER COLUMN tags TYPE text', 'breaks-old-version', 'long-lock?'],
    ['ALTER TABLE accounts ALTER COLUMN doc TYPE jsonb', 'breaks-old-version?', 'long-lock?'],
    ['ALTER TABLE accounts ALTER COLUMN email DROP DEFAULT', 'breaks-old-version?'],
    ['ALTER TABLE accounts ENABLE ROW LEVEL SECURITY', 'breaks-old-version?'],
    ['ALTER TABLE parts DETACH PARTITION parts_2025', 'breaks-old-version?'],
    ['ALTER DOMAIN cents ADD CHECK (value < 5)', 'breaks-old-version'],
    ['ALTER DOMAIN cents SET NOT NULL', 'breaks-old-version'],
    ['DROP OWNED BY owner', 'breaks-old-version'],
    ['DROP EXTENSION pgcrypto', 'breaks-old-version'],
  ],
  loosens: [
    ['ALTER TABLE accounts ALTER COLUMN code TYPE varchar(50)', 'loosens?'],
    ['ALTER TABLE accounts ALTER COLUMN code TYPE text', 'loosens?'],
    ['ALTER TABLE unheard_of ALTER COLUMN code TYPE varchar(50)', 'loosens?', 'long-lock?'],
    ['ALTER TABLE accounts ALTER COLUMN age TYPE bigint', 'loosens?', 'long-lock?'],
    ['ALTER TABLE accounts ALTER COLUMN price TYPE numeric(12, 2)', 'loosens?'],
    ['ALTER TABLE accounts ALTER COLUMN price TYPE numeric', 'loosens?'],
    [`ALTER TYPE mood ADD VALUE 'odd'`, 'loosens?'],
    [`ALTER TYPE mood ADD VALUE IF NOT EXISTS 'odd' BEFORE 'ok'`, 'loosens?'],
    ['ALTER TABLE accounts DROP CONSTRAINT accounts_age_check', 'loosens?'],
    ['ALTER TABLE orders DROP CONSTRAINT sane', 'loosens?'],
    ['ALTER TABLE orders DROP CONSTRAINT IF EXISTS unheard_of', 'loosens?'],
    ['ALTER TABLE orders DROP CONSTRAINT owned', 'loosens?'],
    ['ALTER TABLE accounts DROP CONSTRAINT accounts_email_key', 'loosens?'],
    ['ALTER TABLE accounts ALTER COLUMN email DROP NOT NULL', 'loosens?'],
    ['DROP INDEX orders_account', 'loosens?'],
    ['DROP INDEX unheard_of', 'loosens?'],
    ['ALTER DOMAIN cents DROP CONSTRAINT cents_check', 'loosens?'],
    [`CREATE TABLE parts_2027 PARTITION OF parts FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')`, 'loosens?'],
  ],
  'changes-rows': [
    [`INSERT INTO accounts (id, email) VALUES (1, 'a')`, 'changes-rows?'],
    [`INSERT INTO unheard_of VALUES (1)`, 'changes-rows?'],
    ['UPDATE accounts SET age = age + 1', 'changes-rows?'],
    ['DELETE FROM orders', 'changes-rows?'],
    ['MERGE INTO orders USING accounts a ON a.id = account_id WHEN MATCHED THEN DELETE', 'changes-rows?'],
    ['WITH gone AS (DELETE FROM orders RETURNING *) SELECT count(*) FROM gone', 'changes-rows?'],
    ['ALTER TABLE accounts ADD a int; UPDATE accounts SET a = age', 'safe', 'changes-rows?'],
    ['DO $$ BEGIN UPDATE accounts SET age = 1; END $$', 'changes-rows?'],
    [`DO $$ BEGIN EXECUTE 'x'; END $$`, 'changes-rows?'],
    ['DO $$ BEGIN ALTER TABLE accounts DROP COLUMN note; END $$', 'changes-rows?'],
    ['DO $$ BEGIN -- UPDATE accounts SET age = 1\n NULL; END $$', 'safe'],
    ['CALL fill()', 'changes-rows?'],
    ['SELECT backfill()', 'changes-rows?'],
    [`COPY accounts FROM '/tmp/x'`, 'changes-rows?'],
    [
      `ALTER TABLE accounts ADD a int;
       CREATE TRIGGER t BEFORE INSERT OR UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION touch();
       ALTER TABLE accounts ENABLE ALWAYS TRIGGER t;
       UPDATE accounts SET a = age`,
      'safe',
      'safe',
      'safe',
      'safe',
    ],
  ],
  'long-lock': [
    ['CREATE INDEX i ON accounts (note)', 'long-lock?'],
    ['ALTER TABLE accounts ADD COLUMN a uuid DEFAULT gen_random_uuid()', 'long-lock?'],
    ['ALTER TABLE accounts ADD COLUMN a serial', 'long-lock?'],
    ['ALTER TABLE accounts ADD COLUMN a bigint GENERATED ALWAYS AS IDENTITY', 'long-lock?'],
    ['ALTER TABLE accounts ADD COLUMN a int GENERATED ALWAYS AS (age * 2) STORED', 'long-lock?'],
    ['ALTER TABLE accounts ADD COLUMN a int UNIQUE', 'long-lock?'],
    ['ALTER TABLE accounts SET TABLESPACE fast', 'long-lock?'],
    ['ALTER TABLE parts ATTACH PARTITION p FOR VALUES IN (1)', 'long-lock?'],
    ['LOCK TABLE accounts', 'long-lock?'],
    ['REINDEX TABLE accounts', 'long-lock?'],
    [
      `ALTER TABLE accounts ADD a int DEFAULT 1; ALTER TABLE accounts ADD CONSTRAINT c CHECK (a IS NOT NULL) NOT VALID;
       ALTER TABLE accounts VALIDATE CONSTRAINT c; ALTER TABLE accounts ALTER a SET NOT NULL`,
      'safe',
      'safe',
      'long-lock?',
      'safe',
    ],
  ],
  'not-transactional': [
    ['CREATE INDEX CONCURRENTLY i ON accounts (note)', 'not-transactional'],
    ['VACUUM accounts', 'not-transactional'],
    ['COMMIT', 'not-transactional'],
    ['\\restrict x\nSELECT 1', 'not-transactional'],
    ['SELEKT 1', 'unread'],
  ],
  'breaks-replication': [
    ['ALTER TABLE accounts REPLICA IDENTITY NOTHING', 'breaks-replication'],
    ['ALTER TABLE accounts REPLICA IDENTITY FULL', 'breaks-replication?'],
    [
      'ALTER TABLE orders REPLICA IDENTITY USING INDEX orders_account; DROP INDEX orders_account',
      'breaks-replication?',
      'breaks-replication',
    ],
    ['ALTER TABLE orders DROP CONSTRAINT orders_key', 'breaks-replication'],
    ['ALTER TABLE accounts DROP CONSTRAINT accounts_pkey', 'breaks-replication'],
    ['ALTER TABLE unheard_of DROP CONSTRAINT unheard_of_pkey', 'breaks-replication'],
    ['ALTER TABLE accounts DISABLE TRIGGER ALL', 'breaks-replication'],
    ['ALTER TABLE accounts DISABLE TRIGGER touched', 'breaks-replication'],
    [
      'ALTER TABLE accounts DISABLE TRIGGER USER; ALTER TABLE accounts ENABLE TRIGGER USER',
      'breaks-replication?',
      'safe',
    ],
    ['TRUNCATE orders', 'breaks-replication'],
    ['TRUNCATE orders, accounts RESTART IDENTITY', 'breaks-replication', 'breaks-replication'],
    ['SET session_replication_role = replica', 'breaks-replication'],
    [`SELECT set_config('session_replication_role', 'replica', true)`, 'breaks-replication'],
    ['ALTER ROLE owner SET session_replication_role = replica', 'breaks-replication'],
    ['ALTER TABLE accounts SET UNLOGGED', 'breaks-replication'],
    ['CREATE TABLE t (id int)', 'safe', 'breaks-replication?'],
    ['CREATE TABLE t AS SELECT 1 AS id', 'safe', 'breaks-replication?'],
    ['SELECT 1 AS id INTO t', 'safe', 'breaks-replication?'],
    ['CREATE UNLOGGED TABLE t (id int PRIMARY KEY)', 'safe', 'breaks-replication?'],
    ['CREATE TABLE t (id int); ALTER TABLE t REPLICA IDENTITY FULL', 'safe', 'safe'],
    ['CREATE PUBLICATION p FOR ALL TABLES', 'breaks-replication?'],
  ],
};

describe('the judgement of migrations', () => {
  for (const [rule, list] of Object.entries(cases)) {
    for (const [sql, ...wanted] of list) {
      it(`${rule}: ${sql.replaceAll(/\s+/g, ' ')}`, async () => {
        expect(await rulesOf(sql)).to.deep.equal(wanted);
      });
    }
  }

  it('knows that a wider type loosens [D1]', async () => {
    expect(await rulesOf('ALTER TABLE accounts ALTER COLUMN code TYPE varchar(50)')).to.deep.equal(['loosens?']);
    // Also where no file says what the type was.
    const found = await judged([['1.sql', 'expand', 'ALTER TABLE a ALTER COLUMN code TYPE varchar(50)']]);
    expect(found.map(({ rule }) => rule)).to.include('loosens');
  });

  it('knows that new values, and dropped CHECK or NOT NULL, loosen [D2]', async () => {
    const found = await judged([
      [
        '1.sql',
        'expand',
        `ALTER TYPE mood ADD VALUE 'odd';\nALTER TABLE a DROP CONSTRAINT a_b_check;\nALTER TABLE a ALTER b DROP NOT NULL;`,
      ],
    ]);
    expect(found.map(({ rule, line }) => `${line} ${rule}`)).to.deep.equal(['1 loosens', '2 loosens', '3 loosens']);
  });

  it('knows rows that the live side changes, too [D3]', async () => {
    const found = await judged([['1.sql', 'expand', `INSERT INTO a VALUES (1);\nUPDATE a SET b = 2;`]]);
    expect(found.map(({ rule, line }) => `${line} ${rule}`)).to.deep.equal(['1 changes-rows', '2 changes-rows']);
  });

  it('knows what later rows of the live side break [D5]', async () => {
    const found = await judged([
      ['1.sql', 'expand', 'CREATE UNIQUE INDEX i ON a (b);\n\nALTER TABLE a ALTER b SET NOT NULL;'],
    ]);
    const broken = found.filter(({ rule }) => rule === 'breaks-old-version');
    expect(broken.map(({ line, stops }) => [line, stops])).to.deep.equal([
      [1, true],
      [3, true],
    ]);
  });

  it('says where, why, and what to write instead', async () => {
    const found = await judged([
      ['001.sql', 'applied', live],
      ['002.sql', 'expand', '-- first\nSELECT 1;\n\nALTER TABLE accounts DROP COLUMN note;'],
    ]);
    const [, drop] = found;
    expect(drop).to.include({ file: '002.sql', line: 4, rule: 'breaks-old-version', stops: true });
    expect(drop?.why).to.include('public.accounts.note');
    expect(drop?.instead).to.include('contract file');
  });

  it('judges nothing of files that are applied, and knows across files what is new', async () => {
    const found = await judged([
      ['001.sql', 'applied', `${live}; DROP TABLE orders;`],
      ['002.sql', 'expand', 'CREATE TABLE t (id int PRIMARY KEY, a int)'],
      ['003.sql', 'expand', 'ALTER TABLE t ALTER a SET NOT NULL; CREATE INDEX i ON t (a)'],
    ]);
    expect(found.map(({ file, rule }) => `${file} ${rule}`)).to.deep.equal([
      '002.sql safe',
      '003.sql safe',
      '003.sql safe',
    ]);
  });

  for (const [phase, kind] of [
    ['contract', 'a contract'],
    ['incompatible', 'an incompatible'],
  ] as const)
    it(`lets ${kind} file take away, and names what makes users wait and what the next release needs`, async () => {
      for (const sql of [
        'ALTER TABLE accounts DROP COLUMN note',
        'DROP TABLE orders',
        'TRUNCATE orders',
        'UPDATE accounts SET age = 1',
        'ALTER TABLE accounts ALTER COLUMN email DROP NOT NULL',
      ])
        expect(await rulesOf(sql, phase), sql).to.deep.equal(['safe']);
      expect(await rulesOf('ALTER TABLE accounts ALTER COLUMN note SET NOT NULL', phase)).to.deep.equal(['long-lock?']);
      expect(await rulesOf('CREATE INDEX i ON accounts (note)', phase)).to.deep.equal(['long-lock?']);
      expect(await rulesOf('ALTER TABLE accounts DROP CONSTRAINT accounts_pkey', phase)).to.deep.equal([
        'breaks-replication?',
      ]);
      expect(await rulesOf('VACUUM accounts', phase)).to.deep.equal(['not-transactional']);
    });

  it('finds nothing but keys and transactions where there is no old version', async () => {
    expect(await rulesOf('DROP TABLE unheard_of; UPDATE a SET b = 1; CREATE INDEX i ON a (b)', 'first')).to.deep.equal([
      'safe',
      'safe',
      'safe',
    ]);
    expect(await rulesOf('CREATE TABLE t (id int)', 'first')).to.deep.equal(['safe', 'breaks-replication?']);
    expect(await rulesOf('VACUUM a', 'first')).to.deep.equal(['not-transactional']);
  });

  it('finds nothing in the migrations of the sample', async () => {
    const directory = join(packageRoot, 'examples', 'think-in-coin', 'migrations');
    const files = readdirSync(directory)
      .sort()
      .map((name): Files[number] => [
        name,
        name.includes('_1.0.0_') ? 'applied' : name.includes('contract') ? 'contract' : 'expand',
        readFileSync(join(directory, name), 'utf8'),
      ]);
    const found = await judged(files);
    expect(found.length).to.be.greaterThan(15);
    expect(found.filter(({ rule }) => rule !== 'safe')).to.deep.equal([]);
  });
});
