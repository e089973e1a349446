import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { readMigrations } from '../../../../../automation/data/migrations/files.ts';
import { placeOf } from '../../../../../automation/data/migrations/problems.ts';
import { refusalOf } from '../../../../../automation/data/migrations/refusals.ts';
import { splitStatements } from '../../../../../automation/data/migrations/statements.ts';

describe('the files of a migrations directory', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'greenlight-migrations-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const put = async (files: Record<string, string | Buffer>) => {
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(directory, name)), { recursive: true });
      await writeFile(join(directory, name), content);
    }
  };
  /** `place: found; todo` of every problem. */
  const problems = async (files: Record<string, string | Buffer>): Promise<string[]> => {
    await rm(directory, { recursive: true });
    await mkdir(directory);
    await put(files);
    const read = await readMigrations(directory);
    const all = [...read.problems, ...read.files.flatMap(({ problem }) => problem ?? [])];
    return all.map((problem) => `${placeOf(problem)}: ${problem.found}; ${problem.todo}`);
  };

  for (const [tool, name, sql, line] of [
    ['goose', '1_a.sql', '-- +goose Up\nSELECT 1;\n-- +goose Down\nDROP TABLE a;', 3],
    ['dbmate', '1_a.sql', '-- migrate:up\nSELECT 1;\n\n-- migrate:down\nDROP TABLE a;', 4],
    ['sql-migrate', '1_a.sql', '-- +migrate Up\nSELECT 1;\n-- +migrate Down\nDROP TABLE a;', 3],
    ['MyBatis', '1_a.sql', '-- // first\nSELECT 1;\n-- //@UNDO\nDROP TABLE a;', 3],
    ['node-pg-migrate', '1_a.sql', '-- Up Migration\nSELECT 1;\n-- Down Migration\nDROP TABLE a;', 3],
    ['rambler', '1_a.sql', '-- rambler up\nSELECT 1;\n-- rambler down\nDROP TABLE a;', 3],
    ['shmig', '1_a.sql', '-- ==== UP ====\nSELECT 1;\n-- ==== DOWN ====\nDROP TABLE a;', 3],
    ['Play evolutions', '1.sql', '# --- !Ups\nSELECT 1;\n# --- !Downs\nDROP TABLE a;', 3],
    ['tern', '1_a.sql', 'SELECT 1;\n---- create above / drop below ----\nDROP TABLE a;', 2],
    ['Liquibase', '1_a.sql', '--liquibase formatted sql\n--changeset a:1 context:test\nSELECT 1;', 2],
  ] as const) {
    it(`are refused where a part undoes or depends, and ${tool} is named [F3]`, async () => {
      const found = await problems({ [name]: sql });
      expect(found).to.have.length(1);
      expect(found[0]).to.match(new RegExp(`^${name.replace('.', '\\.')}:${line}: .*${tool}.*; \\w+`));
    });
  }

  it('are refused where the name shows another tool [F3]', async () => {
    const names = {
      '1_x.down.sql': 'golang-migrate',
      'U1__x.sql': 'Flyway (undo)',
      'U2.1__x.sql': 'Flyway (undo)',
      'R__views.sql': 'Flyway (repeatable)',
      'afterMigrate.sql': 'Flyway (callback)',
      'beforeEachMigrate__x.sql': 'Flyway (callback)',
      'down.sql': 'Diesel',
      '20260101-add-down.sql': 'db-migrate',
      '001.undo.add.sql': 'Postgrator',
      '001.rollback.sql': 'yoyo',
    };
    const found = await problems(Object.fromEntries(Object.keys(names).map((name) => [name, 'SELECT 1'])));
    for (const [name, tool] of Object.entries(names))
      expect(
        found.find((text) => text.startsWith(`${name}: `)),
        name,
      ).to.include(tool);
  });

  it('are taken as they are where another tool only marks what runs [F3]', async () => {
    expect(
      await problems({
        'V1__a.sql': 'SELECT 1;',
        '2_b.up.sql': '-- +goose Up\n-- +goose StatementBegin\nSELECT 1;\n-- +goose StatementEnd',
        '3_c.sql': '--liquibase formatted sql\n--changeset me:1\nSELECT 1;\n--rollback DROP TABLE a;',
        '4_d.sql': 'SELECT 1;\n--> statement-breakpoint\nSELECT 2;',
        '5_e.sql': `-- Countdown: slow down migration of users\nINSERT INTO a VALUES ('-- migrate:down');`,
      }),
    ).to.deep.equal([]);
  });

  it('are refused in folders, with another ending, in another language, and where there is none [F4]', async () => {
    expect((await problems({ '20260101_init/migration.sql': 'SELECT 1;' }))[0]).to.match(
      /^20260101_init\/migration\.sql: .*folder.*20260101_init\.sql/,
    );
    expect((await problems({ '1.sql': 'SELECT 1', '2026/01/a/up.sql': 'SELECT 1' }))[0]).to.match(/^2026\/01\/a\/up/);
    for (const name of ['002_B.SQL', '002_b.Sql', '002_b.pgsql', '002_b.ddl', '002_b.sql.gz', '002_b.sql.j2'])
      expect((await problems({ '001_a.sql': 'SELECT 1', [name]: 'SELECT 1' }))[0], name).to.match(
        new RegExp(`^${name}: its name does not end in \\.sql`),
      );
    for (const name of ['0002_fill.py', '2026_fill.ts', 'V2__fill.java', '20260101_a.rb'])
      expect((await problems({ '001_a.sql': 'SELECT 1', [name]: '' }))[0], name).to.match(
        new RegExp(`^${name}: it is a migration that is not SQL`),
      );
    expect((await problems({}))[0]).to.include('the directory has no .sql file');
    expect((await problems({ 'README.md': 'x' }))[0]).to.include('the directory has no .sql file');
  });

  it('may have what no tool takes for a migration beside them [F4]', async () => {
    const others = ['README.md', 'atlas.sum', 'meta/_journal.json', 'migration_lock.toml', '1.sql~', '.keep'];
    expect(
      await problems({ '1.sql': 'SELECT 1', ...Object.fromEntries(others.map((name) => [name, 'x'])) }),
    ).to.deep.equal([]);
  });

  it('are the same text with and without byte order mark and with any line ending [F5]', async () => {
    await put({
      'a.sql': 'SELECT 1;\nSELECT 2;\n',
      'b.sql': 'SELECT 1;\r\nSELECT 2;\r\n',
      'c.sql': '\uFEFFSELECT 1;\nSELECT 2;\n',
      'd.sql': '\uFEFFSELECT 1;\r\nSELECT 2;\r\n',
    });
    const { files } = await readMigrations(directory);
    expect(new Set(files.map(({ checksum }) => checksum)).size).to.equal(1);
    expect(new Set(files.map(({ sql }) => sql)).size).to.equal(1);
    // What any of these checkouts may have recorded before.
    for (const { checksums } of files) expect(checksums).to.have.members(files[0]?.checksums ?? []);
    expect(files[0]?.checksums).to.have.length(4);
  });

  it('are refused with the line where bytes are not UTF-8 [F6]', async () => {
    const latin = Buffer.from(`SELECT 1;\n-- M\u00fcller\nSELECT 'caf\u00e9';\n`, 'latin1');
    expect((await problems({ '1.sql': latin }))[0]).to.match(/^1\.sql:2: .*not UTF-8 \(Latin-1\?\); save it as UTF-8/);
    const last = Buffer.concat([Buffer.from('SELECT 1;\n\n'), Buffer.from('-- \u00fc', 'latin1')]);
    expect((await problems({ '1.sql': last }))[0]).to.match(/^1\.sql:3: /);
    const utf16 = Buffer.from('\uFEFFSELECT 1;', 'utf16le');
    expect((await problems({ '1.sql': utf16 }))[0]).to.match(/^1\.sql:1: .*UTF-16/);
    // The parser would stop at it, and leave out what follows.
    expect((await problems({ '1.sql': 'SELECT 1;\nSELECT 2\0; DROP TABLE a;' }))[0]).to.match(/^1\.sql:2: .*zero byte/);
  });
});

describe('a statement of a migration file', () => {
  const refusals = async (sql: string) =>
    (await splitStatements(sql)).flatMap((statement) => refusalOf(statement) ?? []);

  for (const [sql, line, why, instead] of [
    ['CREATE TABLE a (b int);\n\nCOPY a FROM stdin;\n1\n\\.\nSELECT 1;', 3, 'COPY', 'INSERT'],
    ['SELECT 1;\nCOPY public.a (b, c) FROM stdin WITH (FORMAT csv);\n1,2\n\\.\n', 2, 'COPY', 'INSERT'],
    ['COPY a FROM stdin;', 1, 'COPY', 'INSERT'],
    ['COPY a TO stdout', 1, 'COPY', 'leave'],
    ['\\restrict abc\nSELECT 1;\n\\unrestrict abc', 1, '\\restrict', 'leave it out'],
    ['SELECT 1;\n\n  \\connect other\nSELECT 2;', 3, '\\connect', 'leave it out'],
    ['\\i tables/a.sql\n', 1, '\\i', 'put the statements'],
    ['SELECT 1;\n\\set ON_ERROR_STOP on\n', 2, '\\set', 'leave it out'],
    ['CREATE TABLE a (b int);\nALTER TABLE a OWNER TO postgres;', 2, 'OWNER TO postgres', '--no-owner'],
    ['ALTER FUNCTION f() OWNER TO rds_superuser', 1, 'OWNER TO rds_superuser', '--no-owner'],
    ['ALTER SCHEMA s OWNER TO bob', 1, 'OWNER TO bob', '--no-owner'],
    ['CREATE INDEX CONCURRENTLY i ON a (b)', 1, 'CREATE INDEX CONCURRENTLY', 'without CONCURRENTLY'],
    ['CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON a (b)', 1, 'CREATE INDEX CONCURRENTLY', 'without'],
    ['DROP INDEX CONCURRENTLY i', 1, 'DROP INDEX CONCURRENTLY', 'without'],
    ['REINDEX TABLE CONCURRENTLY a', 1, 'REINDEX CONCURRENTLY', 'without'],
    ['REINDEX SCHEMA public', 1, 'REINDEX', 'each table'],
    ['ALTER TABLE a DETACH PARTITION p CONCURRENTLY', 1, 'DETACH', 'without'],
    ['VACUUM a', 1, 'VACUUM', 'leave it out'],
    ['VACUUM (FULL, ANALYZE) a', 1, 'VACUUM', 'leave it out'],
    ['ALTER SYSTEM SET wal_level = minimal', 1, 'ALTER SYSTEM', 'administrator'],
    ['CREATE DATABASE x', 1, 'DATABASE', 'administrator'],
    ['DISCARD ALL', 1, 'DISCARD ALL', 'leave it out'],
    ['START TRANSACTION;', 1, 'one transaction already', 'leave it out'],
    ['CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END;\nCOMMIT;', 2, 'one transaction', 'leave'],
  ] as const) {
    it(`is refused with what to write instead: ${sql.split('\n')[line - 1]?.trim()} [F8]`, async () => {
      const [refusal] = await refusals(sql);
      expect(refusal?.line).to.equal(line);
      expect(refusal?.why).to.include(why);
      expect(refusal?.instead).to.include(instead);
    });
  }

  it('is taken where it only looks like one [F7] [F8]', async () => {
    for (const sql of [
      'CREATE RULE r AS ON INSERT TO a DO ALSO (INSERT INTO b VALUES (1); DELETE FROM c)',
      'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END',
      'ALTER TABLE a OWNER TO owner',
      'ALTER TABLE a OWNER TO CURRENT_USER',
      'ANALYZE a',
      'REINDEX TABLE a',
      'REFRESH MATERIALIZED VIEW CONCURRENTLY v',
      `INSERT INTO a VALUES ('\n\\restrict\nCOPY a FROM stdin;\n')`,
      'DISCARD TEMP',
    ])
      expect(await refusals(sql), sql).to.deep.equal([]);
  });
});
