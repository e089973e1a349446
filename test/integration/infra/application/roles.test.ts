import { expect } from 'chai';
import { clusterAccess } from '../../../../infra/local/postgres/cluster.ts';
import { grantWrites, privilegeStatements, revokeWrites, roleStatements } from '../../../../infra/application/roles.ts';
import {
  connected,
  openDatabaseEnvironment,
  query,
  rejection,
  type DatabaseEnvironment,
} from '../local/postgres/environment.ts';

describe('the roles of a database', () => {
  let environment: DatabaseEnvironment;
  before(async () => {
    environment = await openDatabaseEnvironment('blue');
    await query(
      access(),
      'owner',
      'CREATE TABLE lessons (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text)',
    );
    await query(access(), 'owner', 'CREATE SCHEMA later; CREATE TABLE later.notes (id serial PRIMARY KEY, body text)');
  });
  after(() => environment.close());
  const access = () => clusterAccess(environment.cluster.blue);
  const admin = (sql: string) => query(access(), 'admin', sql);

  it('fence an open session with its next statement, and let it read on', async () => {
    await admin(grantWrites);
    await connected(access(), 'app', async (app) => {
      await app.query("INSERT INTO lessons (title) VALUES ('one')");
      await admin(revokeWrites);
      expect((await rejection(app.query("INSERT INTO lessons (title) VALUES ('two')"))).message).to.match(
        /permission denied/,
      );
      expect((await rejection(app.query("UPDATE lessons SET title = 'x'"))).message).to.match(/permission denied/);
      expect((await rejection(app.query('DELETE FROM lessons'))).message).to.match(/permission denied/);
      expect((await app.query('SELECT title FROM lessons')).rows).to.deep.equal([{ title: 'one' }]);
      await admin(grantWrites);
      await app.query("INSERT INTO lessons (title) VALUES ('two')");
    });
  });

  it('fence a transaction that is already open', async () => {
    await admin(grantWrites);
    await connected(access(), 'app', async (app) => {
      await app.query('BEGIN');
      await app.query("INSERT INTO lessons (title) VALUES ('three')");
      await admin(revokeWrites);
      expect((await rejection(app.query("INSERT INTO lessons (title) VALUES ('four')"))).message).to.match(
        /permission denied/,
      );
    });
  });

  it('hold in schemas that the owner makes later, and for their sequences', async () => {
    await admin(revokeWrites);
    expect(await query(access(), 'app', 'SELECT * FROM later.notes')).to.deep.equal([]);
    expect((await rejection(query(access(), 'app', "SELECT nextval('later.notes_id_seq')"))).message).to.match(
      /permission denied/,
    );
    await admin(grantWrites);
    await query(access(), 'app', "INSERT INTO later.notes (body) VALUES ('x')");
    expect(await query(access(), 'app', 'SELECT id FROM later.notes')).to.deep.equal([{ id: 1 }]);
  });

  it('keep the services from changing the schema, even where they may write', async () => {
    await admin(grantWrites);
    for (const sql of [
      'CREATE TABLE mine (id int)',
      'CREATE SCHEMA mine',
      'ALTER TABLE lessons ADD COLUMN x int',
      'DROP TABLE lessons',
      'TRUNCATE lessons',
    ]) {
      expect((await rejection(query(access(), 'app', sql))).message, sql).to.match(/permission denied|must be owner/);
    }
  });

  it('keep the bookkeeping to the administrator', async () => {
    await admin('CREATE TABLE IF NOT EXISTS greenlight.facts (id int PRIMARY KEY)');
    for (const role of ['owner', 'app'] as const) {
      expect((await rejection(query(access(), role, 'SELECT * FROM greenlight.facts'))).message).to.match(
        /permission denied for schema/,
      );
    }
  });

  it('can be made again without harm', async () => {
    const { owner, app } = access();
    for (const sql of [...roleStatements({ owner: owner.password, app: app.password }), ...privilegeStatements()])
      await admin(sql);
    expect(await query(access(), 'app', 'SELECT count(*) > 0 AS some FROM lessons')).to.deep.equal([{ some: true }]);
  });
});
