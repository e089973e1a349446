import { expect } from 'chai';
import { connectionInfo } from '../../../../automation/data/replication/subscription.ts';
import { rowHash } from '../../../../automation/data/comparison/row-hash.ts';
import { refusalOf } from '../../../../automation/data/migrations/refusals.ts';
import { splitStatements } from '../../../../automation/data/migrations/statements.ts';

describe('statements of an SQL file', () => {
  const split = async (sql: string) => (await splitStatements(sql)).map((s) => `${s.line}: ${s.text.trim()}`);

  it('end at semicolons, and at none within strings, names, bodies or comments', async () => {
    const names = `SELECT 'a;''b' AS "c;d", E'e\\';f'`;
    const bodies = 'SELECT $$;$$, $x$ $$; $x$';
    const atomic = 'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END';
    expect(
      await split(`${names};\n${bodies}; -- g;\n/* h; /* i; */ j; */ ${atomic};\nSELECT 'ä;';SELECT 2`),
    ).to.deep.equal([`1: ${names}`, `2: ${bodies}`, `3: ${atomic}`, `4: SELECT 'ä;'`, '4: SELECT 2']);
  });

  it('have the line of their first word', async () => {
    const found = await splitStatements('-- one\n\nSELECT 1;\n\n-- two\n SELECT\n 2;\n\n');
    expect(found.map(({ line }) => line)).to.deep.equal([3, 6]);
  });

  it('are none in an empty file, and one if the parser refuses the file', async () => {
    expect(await split('')).to.deep.equal([]);
    expect(await split('-- nothing\n;\n')).to.deep.equal([]);
    expect(await split(`SELECT 1; SELECT 'not closed; `)).to.have.length(1);
    expect(await split('SELECT 1; \\set psql only')).to.have.length(1);
  });

  it('are recognised if they control the transaction, and not if they only contain such words', async () => {
    const controls = async (sql: string) => (await splitStatements(sql)).map((s) => refusalOf(s) !== undefined);
    for (const sql of [
      'COMMIT',
      ' -- x\nbegin;',
      '/* y */ ROLLBACK TO a',
      'START TRANSACTION',
      `PREPARE TRANSACTION 'x'`,
    ])
      expect(await controls(sql), sql).to.deep.equal([true]);
    for (const sql of ['DO $$ BEGIN COMMIT; END $$', 'SELECT 1', 'CREATE TABLE commits ()', 'SAVEPOINT a'])
      expect(await controls(sql), sql).to.deep.equal([false]);
  });
});

describe('a connection string for the subscriber', () => {
  it('survives quotes, backslashes and spaces in the password', () => {
    const login = { user: 'u', password: `a 'b\\c` };
    const info = connectionInfo({
      host: 'h',
      port: 5,
      database: 'd',
      caFile: '/ca dir/x',
      admin: login,
      owner: login,
      app: login,
    });
    expect(info).to.include(`password='a \\'b\\\\c'`).and.to.include(`sslmode='verify-full' sslrootcert='/ca dir/x'`);
  });
});

describe('the login of the subscriber', () => {
  const login = (user: string) => ({ user, password: `of ${user}` });
  const access = {
    host: 'h',
    port: 5,
    database: 'd',
    caFile: '/ca',
    admin: login('admin'),
    owner: login('owner'),
    app: login('app'),
  };

  it('is the one for replication where there is one, else the administrator', () => {
    expect(connectionInfo(access)).to.include(`user='admin' password='of admin'`);
    const info = connectionInfo({ ...access, replication: login('copier') });
    expect(info).to.include(`user='copier' password='of copier'`).and.not.to.include('of admin');
  });
});

describe('the hash of a row', () => {
  const column = (name: string, builtIn: string) => ({ name, builtIn, type: builtIn, generated: false });
  it('covers the shared columns, as text if their binary form may differ, and no cast of the application makes that text', () => {
    const mine = [
      column('id', 'int4'),
      column('name', 'text'),
      column('mood', ''),
      column('size', 'int4'),
      column('gone', 'int4'),
    ];
    const theirs = [column('size', 'int8'), column('mood', ''), column('name', 'text'), column('id', 'int4')];
    const hashed =
      `hashinetextended('8000::'::inet + hash_record_extended(` +
      `ROW("id", ROW("mood")::text COLLATE "C", "name"::text COLLATE "C", "size"::text COLLATE "C"), 0), 0)`;
    expect(rowHash(mine, theirs)).to.equal(hashed);
    expect(rowHash(theirs, mine), 'whatever the order of the columns').to.equal(hashed);
  });
});
