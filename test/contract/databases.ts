import { expect } from 'chai';
import pg from 'pg';
import { databaseUrl, type DatabaseRole } from '../../infra/application/database-url.ts';
import { colours } from '../../infra/model.ts';
import type { Platform } from '../../infra/platform/platform.ts';
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
  initialCopy: Platform['initialCopy'],
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

    if (initialCopy === 'physical') {
      it('make one colour a physical copy of the other, as of the cut-off', async () => {
        const clone = databases.clone?.bind(databases);
        if (clone === undefined) throw new Error('it copies no cluster');
        const [blue, green] = [await databases.of('blue'), await databases.of('green')];
        await query(blue, 'admin', grantWrites);
        await query(blue, 'owner', 'CREATE TABLE notes (id int GENERATED ALWAYS AS IDENTITY, text text)');
        await query(blue, 'app', "INSERT INTO notes (text) VALUES ('before')");
        const seen: number[] = [];
        const allowed: string[] = [];
        const slot = `SELECT lsn::text FROM pg_create_logical_replication_slot('to_the_copy', 'pgoutput')`;
        await clone('blue', 'green', {
          mayReplace: () => Promise.resolve(void allowed.push('asked')),
          cutOff: async () => {
            await query(blue, 'app', "INSERT INTO notes (text) VALUES ('until the cut-off')");
            const [{ lsn } = {}] = await query(blue, 'admin', slot);
            await query(blue, 'app', "INSERT INTO notes (text) VALUES ('after it')");
            return String(lsn);
          },
          onProgress: ({ bytes, totalBytes }) => seen.push(bytes, totalBytes),
        });
        expect(allowed.length).to.be.greaterThan(1);
        expect(Math.max(...seen)).to.be.greaterThan(1_000_000);
        const texts = 'SELECT text FROM notes ORDER BY id';
        const before = [{ text: 'before' }, { text: 'until the cut-off' }];
        expect(await query(green, 'app', texts)).to.deep.equal(before);
        expect(await query(blue, 'app', texts)).to.deep.equal([...before, { text: 'after it' }]);
        expect(await refusal(query(green, 'app', "INSERT INTO notes (text) VALUES ('x')"))).to.match(
          /permission denied/,
        );
        await query(blue, 'app', "INSERT INTO notes (text) VALUES ('blue is as it was')");
        const ties = `SELECT (SELECT count(*)::int FROM pg_publication) + (SELECT count(*)::int FROM pg_replication_slots) +
        (SELECT count(*)::int FROM pg_subscription) + (SELECT count(*)::int FROM pg_replication_origin) AS ties,
        pg_is_in_recovery() AS follows`;
        expect(await query(green, 'admin', ties)).to.deep.equal([{ ties: 0, follows: false }]);
        await query(green, 'admin', grantWrites);
        await query(green, 'app', "INSERT INTO notes (text) VALUES ('x')");
        await query(green, 'admin', revokeWrites);
        await query(blue, 'admin', revokeWrites);
        const left = 'SELECT slot_name AS name FROM pg_replication_slots';
        expect(await query(blue, 'admin', left)).to.deep.equal([{ name: 'to_the_copy' }]);
        await query(blue, 'admin', `SELECT pg_drop_replication_slot('to_the_copy')`);
      });

      it('keep what a colour has where it must not be replaced', async () => {
        const clone = databases.clone?.bind(databases);
        if (clone === undefined) throw new Error('it copies no cluster');
        const [blue, green] = [await databases.of('blue'), await databases.of('green')];
        await query(green, 'owner', 'CREATE TABLE precious AS SELECT 1 AS one');
        let asked = 0;
        const options = {
          mayReplace: () => (++asked === 2 ? Promise.reject(new Error('it is live by now')) : Promise.resolve()),
          cutOff: async () =>
            String((await query(blue, 'admin', 'SELECT pg_current_wal_lsn()::text AS lsn'))[0]?.['lsn']),
        };
        expect(await refusal(clone('blue', 'green', options))).to.match(/it is live by now/);
        expect(await query(green, 'owner', 'SELECT one FROM precious')).to.deep.equal([{ one: 1 }]);
        const failing = { ...options, cutOff: () => Promise.reject(new Error('no cut-off')) };
        expect(await refusal(clone('blue', 'green', failing))).to.match(/no cut-off/);
        expect(await query(green, 'owner', 'SELECT one FROM precious')).to.deep.equal([{ one: 1 }]);
      });
    } else {
      it('copy no cluster', () => expect('clone' in databases).to.equal(false));
    }

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
