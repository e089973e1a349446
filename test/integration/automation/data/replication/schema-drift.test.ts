import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { connect, close, withClient } from '../../../../../automation/data/connect.ts';
import { linkBetween } from '../../../../../automation/data/link.ts';
import { describeDrift, schemaDrift } from '../../../../../automation/data/replication/schema-drift.ts';
import { startSync, stopSync, syncStatus, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { createRig, expand, schemaV1, type Rig } from '../rig.ts';

const shop = `${schemaV1}
  CREATE SCHEMA shop;
  CREATE FUNCTION shop.price(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
  CREATE PROCEDURE shop.close_day() LANGUAGE plpgsql AS 'BEGIN NULL; END';
  CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
  CREATE TRIGGER touch BEFORE UPDATE ON settings FOR EACH ROW EXECUTE FUNCTION shop.touch();
  CREATE VIEW shop.open AS SELECT id, email FROM accounts;
  CREATE DOMAIN shop.code AS text CHECK (VALUE ~ '^[a-z]+$');
  CREATE TABLE shop.m (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
  CREATE TABLE shop.m_1 PARTITION OF shop.m FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');`;

describe('the schema of both sides', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());
  const link = () => linkBetween(rig.blue, rig.green);
  const admin = (sql: string, side = rig.blue) => withClient(side.access, 'admin', (client) => client.query(sql));
  const drift = async () => describeDrift(await schemaDrift(link()));

  const following = async (schema = shop) => {
    await rig.fresh(schema);
    await expand(rig);
    await startSync(rig.blue, rig.green);
    await waitForSync(link(), { timeoutMs: 20_000 });
  };
  afterEach(() => stopSync(link()));

  it('is the same, but for what the expand migrations did', async () => {
    await following();
    expect(await drift()).to.equal('');
  });
  for (const [what, sql, says] of [
    ['a function', `CREATE OR REPLACE FUNCTION shop.price(int) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1'`, 'function shop.price(integer) was replaced on blue'],
  ] as const) {
    it(`names ${what} that was changed on the live side`, async () => {
      await following();
      await rig.run(rig.blue, sql);
      expect(await drift()).to.equal(says);
    });
  }
});
