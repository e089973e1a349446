import { expect } from 'chai';
import { recoverWindow, windowSteps, type WindowStep } from '../../../../../automation/data/cutover/window.ts';
import { withClient } from '../../../../../automation/data/connect.ts';
import type { Side } from '../../../../../automation/data/link.ts';
import { messageOf } from '../../../../../infra/lib/errors.ts';
import { value } from '../rig.ts';
import { CutoverScene } from './scene.ts';
import { openWindow, Readers, tryWrite, writeBoth } from './window-scene.ts';

const asAdmin = (side: Side, sql: string): Promise<unknown> =>
  withClient(side.access, 'admin', (client) => client.query(sql));

const eventTrigger = `CREATE FUNCTION seen() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
  CREATE EVENT TRIGGER seen ON ddl_command_end EXECUTE FUNCTION seen()`;

describe('a read-only window under writes', () => {
  const scene = new CutoverScene({ holdMs: 2000, drainMs: 1000 });

  it('refuses writes, serves reads, migrates, and loses and doubles nothing; nothing replicates afterwards', async () => {
    await scene.following();
    const { rig, router } = scene;
    for (const side of [rig.blue, rig.green]) await asAdmin(side, eventTrigger);
    await asAdmin(rig.green, 'ALTER EVENT TRIGGER seen DISABLE');
    await writeBoth(scene, 50);
    const readers = new Readers(scene);
    const steps: WindowStep[] = [];
    const seen: Record<string, string> = {};
    const done = await openWindow(scene, {
      beforeRefusal: async () => {
        seen['before'] = await tryWrite(scene, 'blue');
        expect(router.refusals).to.equal(0);
      },
      start: async () => {
        await scene.load.refusedMore(20);
        seen['started on the new side'] = await tryWrite(scene, 'green');
      },
      onStep: (step) => steps.push(step),
    });
    expect([done.problems, done.warnings]).to.deep.equal([[], []]);
    expect(steps).to.deep.equal(windowSteps);
    expect(done.tables.map(({ table }) => table)).to.include.members(['public.accounts', 'public.entries']);
    expect(done.tables.filter(({ equal }) => !equal)).to.deep.equal([]);
    expect(seen).to.deep.equal({
      before: 'written',
      'started on the new side': 'permission denied for table counters',
    });
    expect(router.split).to.deep.equal({ live: 'green', percent: 0 });
    await scene.load.more(100);
    await readers.stop();
    expect(readers.failures).to.deep.equal([]);
    expect(readers.answered).to.be.greaterThan(10);
    await scene.expectNothingLost(50);
    console.log('    writes were refused for %d ms: %d of them', Math.round(done.windowMs), scene.load.refused);

    expect(await tryWrite(scene, 'blue')).to.include('permission denied');
    expect(await value<boolean>(rig.green, 'SELECT count(DISTINCT ticket) = count(*) FROM entries')).to.equal(true);
    expect(await value<string>(rig.green, 'SELECT pg_typeof(value)::text FROM settings LIMIT 1')).to.equal('jsonb');
    const enabled = (side: Side) => value(side, 'SELECT evtenabled FROM pg_event_trigger');
    expect([await enabled(rig.blue), await enabled(rig.green)]).to.deep.equal(['D', 'O']);
    const state = await scene.state();
    expect(state).to.deep.include({ phase: 'idle', findings: [], writers: { blue: false, green: true } });
    const recovery = await recoverWindow({ router, from: rig.blue, to: rig.green });
    expect(recovery).to.deep.equal({ outcome: 'finished', replicating: false, problems: [] });
  });
});

/** What an owner may set for an application, and what would end a session that waits for a migration. */
const timeouts = {
  idle_in_transaction_session_timeout: '1s',
  idle_session_timeout: '1s',
  transaction_timeout: '1s',
  statement_timeout: '1s',
  lock_timeout: '50ms',
  wal_sender_timeout: '1s',
};

describe('a read-only window where the owner has set timeouts', () => {
  const scene = new CutoverScene({ holdMs: 2000, drainMs: 1000 }, { blue: 17, green: 17 });

  it('outlives them: the fence stands until it is committed', async () => {
    await scene.following();
    const { rig, router } = scene;
    for (const side of [rig.blue, rig.green])
      for (const [name, to] of Object.entries(timeouts))
        await asAdmin(side, `ALTER ROLE admin SET ${name} = '${to}'; ALTER DATABASE app SET ${name} = '${to}'`);
    await writeBoth(scene, 50);
    const done = await openWindow(scene, {
      start: async () => {
        const renewed = router.refusals + 1;
        while (router.refusals < renewed) await scene.load.refusedMore(1);
        // Without the fence this would be written.
        await expectFenced(rig.blue);
      },
    });
    expect([done.problems, done.warnings]).to.deep.equal([[], []]);
    await scene.expectNothingLost(50);
  });
});

/** Expects that a writer waits for the fence. */
async function expectFenced(side: Side): Promise<void> {
  const waits = await withClient(side.access, 'app', async (client) => {
    await client.query(`SET lock_timeout = '100ms'`);
    return await client.query('UPDATE counters SET n = n').catch((error: unknown) => messageOf(error));
  });
  expect(waits).to.equal('canceling statement due to lock timeout');
}
