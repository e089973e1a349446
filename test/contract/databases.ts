import { expect } from 'chai';
import pg from 'pg';
import { databaseUrl, type DatabaseRole } from '../../infra/application/database-url.ts';
import { colours } from '../../infra/model.ts';
import type { DatabaseAccess, Databases } from '../../infra/platform/databases.ts';
import { grantWrites, revokeWrites } from '../../infra/application/roles.ts';

/** Rows of one query, on a connection of its own. */
export async function query(
  access: DatabaseAccess,
  role: DatabaseRole,
  sql: string,
): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: databaseUrl(access, role) });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Message of the error that `action` rejects with; fails where it does not reject. */
export const refusal = (action: Promise<unknown>): Promise<string> =>
  action.then(
    () => Promise.reject(new Error('it was expected to reject, and did not')),
    (error: Error) => error.message,
  );

/** What every platform's databases must do. `open` gives those of an environment whose colours are both up. */
export function databasesContract(
  platform: string,
  open: () => Promise<{ databases: Databases; close: () => Promise<void> }>,
): void {
  describe(`databases of platform ${platform}`, () => {
    let databases: Databases;
    let close: () => Promise<void>;
    before(async () => {
      ({ databases, close } = await open());
    });
    after(() => close());

    it('lead each colour to a database of its own', async () => {
      for (const colour of colours) {
        await query(await databases.of(colour), 'owner', `CREATE TABLE mark AS SELECT '${colour}' AS colour`);
      }
      for (const colour of colours) {
        expect(await query(await databases.of(colour), 'app', 'SELECT colour FROM mark')).to.deep.equal([{ colour }]);
      }
    });

    it('have three roles, of which the services write only while they may', async () => {
      const access = await databases.of('blue');
      await query(access, 'owner', 'CREATE TABLE things (id int PRIMARY KEY)');
      expect(await refusal(query(access, 'app', 'INSERT INTO things VALUES (1)'))).to.match(/permission denied/);
      await query(access, 'admin', grantWrites);
      await query(access, 'app', 'INSERT INTO things VALUES (1)');
      await query(access, 'admin', revokeWrites);
      expect(await refusal(query(access, 'app', 'INSERT INTO things VALUES (2)'))).to.match(/permission denied/);
      expect(await query(access, 'app', 'SELECT id FROM things')).to.deep.equal([{ id: 1 }]);
    });

    it('come as scratch, empty, beside the others, and go', async () => {
      const [one, two] = await Promise.all([databases.scratch('rehearsal'), databases.scratch('rehearsal')]);
      try {
        await query(one.access, 'owner', 'CREATE TABLE mark AS SELECT 1 AS scratch');
        const tables =
          "SELECT count(*)::int AS n FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
        expect(await query(two.access, 'admin', tables)).to.deep.equal([{ n: 0 }]);
        expect(await refusal(query(one.access, 'app', 'INSERT INTO mark VALUES (2)'))).to.match(/permission denied/);
        expect(await query(await databases.of('blue'), 'app', 'SELECT colour FROM mark')).to.deep.equal([
          { colour: 'blue' },
        ]);
      } finally {
        await Promise.all([one.dispose(), two.dispose()]);
      }
      expect(await refusal(query(one.access, 'admin', 'SELECT 1'))).to.be.a('string');
      await one.dispose();
    });
  });
}
