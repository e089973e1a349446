import { expect } from 'chai';
import { checkIndexes } from '../../../../../automation/data/comparison/indexes.ts';
import { withClient } from '../../../../../automation/data/connect.ts';
import { newerVersion } from '../../../../lib/newer-postgres.ts';
import { createRig, type Rig } from '../rig.ts';

describe('the indexes of a restored copy', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());

  const admin = (sql: string) => withClient(rig.blue.access, 'admin', async (client) => void (await client.query(sql)));
  const check = (timeoutMs?: number) =>
    withClient(rig.blue.access, 'admin', (client) => checkIndexes(client, timeoutMs));

  it('are sound: all are read, and nothing of the check stays', async () => {
    await rig.fresh(
      `CREATE TABLE "Orders" (id int PRIMARY KEY, w text); INSERT INTO "Orders" SELECT i, i FROM generate_series(1, 500) i; CREATE INDEX ON "Orders" (lower(w)); CREATE INDEX ON "Orders" USING hash (w)`,
    );
    expect(await check()).to.deep.equal({ checked: 2, of: 2, damaged: [] });
    await withClient(rig.blue.access, 'admin', async (client) => {
      const { rows } = await client.query(
        `SELECT extname FROM pg_extension WHERE extname = 'amcheck' UNION ALL SELECT nspname FROM pg_namespace WHERE nspname ~ 'amcheck'`,
      );
      expect(rows).to.deep.equal([]);
    });
  });

  it('are damaged: one that lacks a row of its table, one in another order; both are named with the cure', async () => {
    await rig.fresh(
      `CREATE FUNCTION sorts(int) RETURNS int IMMUTABLE LANGUAGE sql RETURN $1; CREATE TABLE orders (id int PRIMARY KEY, n int);
       INSERT INTO orders SELECT i, i FROM generate_series(1, 5000) i; CREATE INDEX by_n ON orders (sorts(n)); CREATE INDEX sound ON orders (n);
       CREATE OR REPLACE FUNCTION sorts(int) RETURNS int IMMUTABLE LANGUAGE sql RETURN -$1`,
    );
    await admin(
      `UPDATE pg_index SET indisready = false WHERE indexrelid = 'orders_pkey'::regclass; INSERT INTO orders VALUES (1, 1); UPDATE pg_index SET indisready = true WHERE indexrelid = 'orders_pkey'::regclass`,
    );
    const { checked, of, damaged } = await check();
    expect([checked, of, damaged.length]).to.deep.equal([3, 3, 2]);
    expect(damaged[0])
      .to.include('index public.orders_pkey is damaged')
      .and.to.include('cure: REINDEX INDEX CONCURRENTLY public.orders_pkey');
    expect(damaged[1]).to.include('index public.by_n is damaged');
  });

  it('are not checked where there is no time, where one cannot be read, or by a role that may not: the reason is said', async () => {
    await rig.fresh(
      `CREATE FUNCTION asks(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN $1; END $$; CREATE TABLE orders (id int PRIMARY KEY);
       INSERT INTO orders VALUES (1); CREATE INDEX first ON orders (asks(id)); CREATE INDEX second ON orders (id);
       CREATE OR REPLACE FUNCTION asks(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE 'never'; END $$`,
    );
    expect(await check(0)).to.deep.equal({ checked: 0, of: 3, damaged: [], reason: 'there was no time for all' });
    expect(await check()).to.deep.equal({ checked: 2, of: 3, damaged: [], reason: 'public.first: never' });
    const asOwner = await withClient(rig.blue.access, 'owner', (client) => checkIndexes(client));
    expect(asOwner).to.deep.include({ checked: 0, damaged: [] });
    expect(asOwner.reason).to.include('permission denied');
  });

  it('hold equal rows although they are unique: found from PostgreSQL 17 on', async () => {
    const newer = await createRig({ blue: newerVersion, green: newerVersion });
    try {
      await newer.run(
        newer.blue,
        'CREATE TABLE orders (n int); INSERT INTO orders VALUES (1), (1); CREATE INDEX twice ON orders (n)',
      );
      const { damaged } = await withClient(newer.blue.access, 'admin', async (client) => {
        await client.query(`UPDATE pg_index SET indisunique = true WHERE indexrelid = 'twice'::regclass`);
        return await checkIndexes(client);
      });
      expect(damaged).to.have.length(1);
      expect(damaged[0]).to.include('index public.twice is damaged').and.to.include('uniqueness');
    } finally {
      await newer.dispose();
    }
  });
});
