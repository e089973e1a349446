import { expect } from 'chai';
import type pg from 'pg';
import { openSnapshot } from '../../../automation/data/compare.ts';
import { close, connect } from '../../../automation/data/connect.ts';
import { copyDatabase } from '../../../automation/data/copy.ts';
import { maskDatabase } from '../../../automation/data/mask.ts';
import { findUnmasked } from '../../../automation/data/masked.ts';
import { compareRestored } from '../../../automation/data/restored.ts';
import { createRig, schemaV1, value, type Rig } from './rig.ts';

/** Blue stands for the live database, green for what was restored of it. */
describe('a copy of a database that goes on changing', () => {
  let rig: Rig;
  let sessions: pg.Client[] = [];
  before(async () => {
    rig = await createRig();
  });
  afterEach(async () => {
    await Promise.all(sessions.map(close));
    sessions = [];
  });
  after(() => rig.dispose());

  /** Copies blue to green; `meanwhile` changes blue between the two snapshots, `afterwards` changes the copy. */
  const compared = async (meanwhile: string, afterwards: string) => {
    await rig.fresh(schemaV1);
    const session = async (side: Rig['blue']) => {
      const client = await connect(side.access, 'admin');
      sessions.push(client);
      return client;
    };
    const [before, after, copy] = [await session(rig.blue), await session(rig.blue), await session(rig.green)];
    await openSnapshot(before);
    await copyDatabase(rig.blue.access, rig.green.access);
    await rig.run(rig.blue, meanwhile);
    await openSnapshot(after);
    await rig.run(rig.green, afterwards);
    const tables = await compareRestored(before, after, copy);
    return Object.fromEntries(tables.map((table) => [table.table, table]));
  };

  it('is equal where nothing changed, sequences included', async () => {
    const tables = await compared('SELECT 1', 'SELECT 1');
    expect(Object.values(tables).map(({ equal }) => equal)).to.deep.equal([true, true, true, true]);
    expect(tables['public.accounts']?.rows).to.deep.equal({ left: 500, right: 500 });
    await rig.run(rig.green, `INSERT INTO accounts (email) VALUES ('next@example.invalid')`);
    expect(await value<string>(rig.green, 'SELECT max(id)::text FROM accounts')).to.equal('501');
  });

  it('may lack what was written meanwhile, and nothing else', async () => {
    const meanwhile = `UPDATE accounts SET balance = balance + 1 WHERE id <= 5; INSERT INTO accounts (email) VALUES ('late@example.invalid')`;
    const { 'public.accounts': good } = await compared(meanwhile, 'SELECT 1');
    expect(good).to.include({ equal: true });
    expect(good?.rows).to.deep.equal({ left: 495, right: 495 });
    expect(good?.detail).to.contain('495 rows that did not change');
  });

  it('is found out when a row that did not change is missing or different, in a table that did', async () => {
    const meanwhile = `UPDATE accounts SET balance = balance + 1 WHERE id = 1`;
    const damage = `DELETE FROM settings WHERE account = 7; UPDATE accounts SET balance = 0 WHERE id = 8`;
    const tables = await compared(meanwhile, damage);
    expect(tables['public.accounts']).to.include({ equal: false });
    expect(tables['public.accounts']?.detail).to.contain('1 of 499 rows');
    expect(tables['public.settings']).to.include({ equal: false });
  });

  it('shows personal data that was not masked, and none after masking', async () => {
    await rig.fresh(schemaV1);
    await copyDatabase(rig.blue.access, rig.green.access);
    const rules = [{ table: 'accounts', column: 'email', with: 'email' as const }];
    const look = () => findUnmasked(rig.green.access, rig.blue.access, rules);
    expect(await look()).to.deep.equal([{ column: 'accounts.email', rows: 500, checked: 500 }]);
    await maskDatabase(rig.green.access, rules);
    expect(await look()).to.deep.equal([{ column: 'accounts.email', rows: 0, checked: 500 }]);
  });
});
