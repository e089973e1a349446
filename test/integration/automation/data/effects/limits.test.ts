import { expect } from 'chai';
import { longer, reading } from '../../../../../automation/data/comparison/reading.ts';
import { openSnapshot, Snapshot } from '../../../../../automation/data/comparison/snapshot.ts';
import { tablesOf, type Table } from '../../../../../automation/data/catalog.ts';
import { row, withClient } from '../../../../../automation/data/connect.ts';
import { lookAt } from '../../../../../automation/data/effects/look.ts';
import { createRig, type Rig } from '../rig.ts';

describe('the time in which a table is read', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());

  it('is longer for values that have no bytes, for one table only', async () => {
    await rig.fresh('CREATE TABLE empty (id int PRIMARY KEY)');
    await withClient(rig.blue.access, 'admin', async (client) => {
      const [table] = (await tablesOf(client)) as [Table];
      await openSnapshot(client);
      const snapshot = new Snapshot(client);
      const timeout = (): Promise<{ statement_timeout: string }> => row(client, 'SHOW statement_timeout');
      const before = await timeout();
      await reading({ snapshot, table, hash: '' }, async (_, limits) => {
        const usual = await timeout();
        const more = await longer(client, limits, 120_000);
        expect([usual.statement_timeout, (await timeout()).statement_timeout]).to.deep.equal(['1min', '3min']);
        expect(more.query_timeout - limits.query_timeout).to.equal(120_000);
      });
      expect(await timeout()).to.deep.equal(before);
      await client.query('ROLLBACK');
    });
  });

  it('is long enough for many columns', async () => {
    const columns = Array.from({ length: 1500 }, (_, index) => `c${index} text`);
    await rig.fresh(
      `CREATE TABLE wide (id int PRIMARY KEY, ${columns.join(', ')}); INSERT INTO wide SELECT generate_series(1, 10)`,
    );
    const { contents } = await lookAt(rig.blue.access);
    expect(contents.get('"public"."wide"')?.columns).to.have.length(1501);
  });
});
