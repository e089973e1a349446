import { expect } from 'chai';
import { grantWrites } from '../../../../../infra/application/roles.ts';
import { row, withClient } from '../../../../../automation/data/connect.ts';
import { leaveWithoutRest } from '../../../../../automation/data/cutover/without-rest.ts';
import { linkBetween } from '../../../../../automation/data/link.ts';
import { faults } from '../faults.ts';
import { createRig, type Rig } from '../rig.ts';
import { MemoryRouter } from '../traffic.ts';

describe('a way back without the rest of the replication', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
    await rig.fresh(`CREATE SEQUENCE invoices; SELECT setval('invoices', 4711)`);
    await rig.run(rig.green, 'CREATE SEQUENCE invoices');
  });
  after(() => rig?.dispose());

  it('is repeated, and numbers that users have seen are not given out again, though the server crashes at the flip', async () => {
    await withClient(rig.green.access, 'admin', async (client) => {
      // As an earlier attempt has left it: that grant does nothing any more, and flushes nothing.
      await client.query(grantWrites);
      await client.query('ALTER SYSTEM SET wal_writer_delay = 10000');
      await client.query('SELECT pg_reload_conf()');
    });
    const router = new MemoryRouter();
    router.onApply = async (_, apply) => {
      apply();
      await faults['the server crashes and is started']?.(rig, rig.green);
    };
    const problems: string[] = [];
    const onProblem = (text: string): unknown => problems.push(text);
    await leaveWithoutRest(linkBetween(rig.blue, rig.green), { router, holdMs: 5_000, onProblem });
    const { next } = await withClient(rig.green.access, 'owner', (client) =>
      row<{ next: string }>(client, `SELECT nextval('invoices') AS next`),
    );
    expect([next, problems]).to.deep.equal(['4712', []]);
  });
});
