import { mkdtempSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { close, connect, withClient } from '../../../../../automation/data/connect.ts';
import { cutover as move } from '../../../../../automation/data/cutover/cutover.ts';
import { dropSlot, linkBetween } from '../../../../../automation/data/link.ts';
import { startSync, stopSync, syncStatus, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { markExpanded, markLive, unmark } from '../../../../../automation/data/written-by.ts';
import { allOf, lastOf } from '../../../../../automation/journal/entries.ts';
import { openJournal, type Journal } from '../../../../../automation/journal/journal.ts';
import { describeLoss, lossIn } from '../../../../../automation/journal/loss.ts';
import type { Verdict } from '../../../../../automation/journal/verdict.ts';
import { describeGap, wayBackGap } from '../../../../../automation/journal/way-back.ts';
import { openRun } from '../../../../../automation/release/context/context.ts';
import { StageStopped } from '../../../../../automation/release/context/stage.ts';
import { cutover } from '../../../../../automation/release/stages/cutover.ts';
import { remedyOf } from '../../../../../automation/release/steps/data/remake.ts';
import { whileWayBackHolds } from '../../../../../automation/release/steps/traffic/keep-way-back.ts';
import { identityStatement } from '../../../../../infra/application/identity.ts';
import { hasCode } from '../../../../../infra/lib/errors.ts';
import { isFree } from '../../../../../infra/lib/free-ports.ts';
import type { CloneOptions } from '../../../../../infra/platform/databases.ts';
import { cloneCluster } from '../../../../../infra/local/postgres/clone.ts';
import {
  createCluster,
  dataDirectory,
  interrupt,
  serverPid,
  startCluster,
  stopCluster,
} from '../../../../../infra/local/postgres/cluster.ts';
import { discardCluster } from '../../../../../infra/local/postgres/discard.ts';
import { controlOf } from '../../../../lib/server-control.ts';
import { createRig, expand, value, type Rig } from '../../data/rig.ts';
import { MemoryRouter } from '../../data/traffic.ts';
import { releaseSettings } from '../settings.ts';

/** A balancer that finds the instances of blue healthy. */
function readyRouter(): MemoryRouter {
  const router = new MemoryRouter();
  const read = router.read;
  const servers = [{ colour: 'blue', service: 'web', instance: 1, healthy: true } as const];
  router.read = async () => ({ ...(await read()), servers: [...servers] });
  return router;
}

describe('a way back whose database is lost', () => {
  let rig: Rig;
  let router: MemoryRouter;
  let directory: string;
  let journal: Journal;
  /** What the stack of blue does once it is applied. */
  let up: () => Promise<void>;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());

  const schema = `CREATE TABLE codes (id int PRIMARY KEY, code varchar(20)); INSERT INTO codes VALUES (1, 'one')`;
  const migration = `ALTER TABLE codes ALTER COLUMN code TYPE varchar(50); CREATE TABLE badges (id int PRIMARY KEY, name text)`;
  const back = () => linkBetween(rig.green, rig.blue);

  /** Id of a server whose files are gone from under it: a supervisor knows it. */
  let orphan: number | undefined;
  const discard = (): Promise<void> =>
    discardCluster(rig.specs.blue, {
      ...controlOf(rig.specs.blue),
      async stop() {
        if (orphan === undefined) return stopCluster(rig.specs.blue);
        interrupt(orphan);
        while (!(await isFree(rig.specs.blue.port))) await sleep(20);
        orphan = undefined;
      },
    });

  /** The identity that blue states; the rig has one of its own. */
  const named = (identity: string) =>
    withClient(rig.blue.access, 'admin', (client) =>
      client.query(identityStatement(rig.blue.access.database, identity)),
    );

  /** Green live with its migration, blue following. */
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'greenlight-remade-'));
    journal = openJournal(directory);
    await rig.fresh(schema);
    router = readyRouter();
    up = async () => {
      await createCluster(rig.specs.blue);
      await controlOf(rig.specs.blue).start();
    };
    await expand(rig, migration);
    await waitForSync(await startSync(rig.blue, rig.green), { timeoutMs: 30_000 });
    await withClient(rig.green.access, 'admin', async (client) => {
      await markExpanded(client, { release: 'r', version: '2.0.0' });
      await markLive(client);
    });
    await named('production-blue');
    const settings = { holdMs: 4000, drainMs: 1000 };
    await move({ router, from: rig.blue, to: rig.green, direction: 'forward', settings });
    journal.append({ type: 'cutover.done', direction: 'forward', from: 'blue', to: 'green' });
    judged('data-comparison', 'pass');
    judged('compatibility', 'pass');
  });
  afterEach(async () => {
    await withClient(rig.green.access, 'admin', unmark);
    await stopSync(back());
    await named('blue');
    journal.close();
    rmSync(directory, { recursive: true });
  });

  function judged(id: string, verdict: Verdict): void {
    const gate = { id, title: id, verdict, measured: '', wanted: '', measurements: [], evidence: [], ms: 0 };
    journal.append({ type: 'gate.judged', stage: 'backup', gate: { ...gate, observationMs: 0 } });
  }

  function release(initialCopy: 'physical' | 'logical' = 'physical') {
    const clone = (_: string, __: string, options: CloneOptions): Promise<void> =>
      cloneCluster(rig.green.access, rig.specs.blue, controlOf(rig.specs.blue), options);
    const facts = releaseSettings({
      directory,
      journal,
      definition: { cutover: { holdMs: 4000, drainMs: 1000 } },
      environment: {
        router,
        databases: {
          of: (colour: 'blue' | 'green') => Promise.resolve(rig[colour].access),
          clone,
          discard,
        },
        provide: () => Promise.resolve(),
      },
      engine: {
        up: async ({ kind }: { kind: string }) => {
          if (kind === 'blue') await up();
          return { changes: {}, ms: 1, orphans: [] };
        },
        refresh: () => Promise.resolve([]),
      },
      platform: { initialCopy },
    });
    const { context } = openRun(facts).at('cutover');
    return {
      watched: (work: (signal: AbortSignal) => Promise<void>) =>
        whileWayBackHolds(context, facts, remedyOf(context, facts), work),
      back: (acceptLoss = false) =>
        cutover(facts).undo?.(context, { reason: 'x', outcome: 'aborted', automatic: true, acceptLoss }),
    };
  }
  const failure = (work: Promise<unknown> | undefined): Promise<Error | undefined> =>
    Promise.resolve(work).then(
      () => undefined,
      (error: unknown) => error as Error,
    );
  const gate = () => allOf(journal.entries(), 'gate.judged').findLast((entry) => entry.gate.id === 'way-back')?.gate;
  const said = () =>
    gate()
      ?.measurements.map(({ measured }) => measured)
      .join('; ');
  const put = (id: number, code: string) => rig.run(rig.green, `INSERT INTO codes VALUES (${id}, '${code}')`);
  const loseSlot = async (): Promise<void> => {
    while ((await syncStatus(back())).lagBytes > 0) await sleep(20);
    await withClient(rig.green.access, 'admin', (client) => dropSlot(client, back().name));
  };
  const reached = async (type: 'way-back.remaking' | 'way-back.remade'): Promise<void> => {
    while (lastOf(journal.entries(), type) === undefined) await sleep(50);
  };
  /** Back on blue with all that green had, also what the old schema could not hold. */
  const wholeAfterRollback = async (ids: number): Promise<void> => {
    expect(await release().back()).to.contain('blue is live again');
    expect(router.split.live).to.equal('blue');
    expect(await value(rig.blue, 'SELECT count(*)::int FROM codes')).to.equal(ids);
    expect(await value(rig.blue, 'SELECT count(*)::int FROM badges')).to.equal(1);
    await withClient(rig.blue.access, 'app', (client) => client.query(`INSERT INTO codes VALUES (99, 'old version')`));
    const done = lastOf(journal.entries(), 'rollback.done');
    expect(done && describeLoss(lossIn(done))).to.contain('nothing lost');
  };

  for (const how of ['physical', 'logical'] as const)
    it(`is made anew by a ${how} copy where its slot is lost, and goes back whole`, async () => {
      await release(how).watched(async () => {
        await rig.run(rig.green, `INSERT INTO badges VALUES (1, 'gold')`);
        await loseSlot();
        await put(2, 'x'.repeat(40));
        await reached('way-back.remade');
        await put(3, 'three');
      });
      expect(gate()?.verdict).to.equal('pass');
      expect(said()).to.contain('made anew as a copy of the live one');
      const gap = wayBackGap(journal.entries());
      expect(gap && describeGap(gap)).to.match(
        /^exists again since .* runs on the new schema, on which its tests have passed$/,
      );
      await wholeAfterRollback(3);
    });

  it('is made anew where the data directory is deleted under its server, and the end of the bake time waits for that', async () => {
    await rig.run(rig.green, `INSERT INTO badges VALUES (1, 'gold')`);
    await release().watched(async () => {
      orphan = await serverPid(rig.specs.blue);
      await rm(dataDirectory(rig.specs.blue), { recursive: true, force: true });
      // The bake time is over before anybody can have noticed.
    });
    expect(gate()?.verdict).to.equal('pass');
    await put(2, 'two');
    await wholeAfterRollback(2);
  });

  it('is made anew where an empty database stands in its place, which its stack has made [L]', async () => {
    await rig.run(rig.green, `INSERT INTO badges VALUES (1, 'gold')`);
    await release().watched(async () => {
      await stopCluster(rig.specs.blue);
      await rm(rig.specs.blue.directory, { recursive: true });
      await put(2, 'two');
    });
    expect(gate()?.verdict).to.equal('pass');
    expect(await value(rig.blue, 'SELECT count(*)::int FROM codes')).to.equal(2);
    await wholeAfterRollback(2);
  });

  it('is made anew where its own files are damaged: that says nothing of the rows', async () => {
    await rig.run(rig.green, `INSERT INTO badges VALUES (1, 'gold')`);
    await release().watched(async () => {
      const file = await value<string>(rig.blue, `SELECT pg_relation_filepath('codes')`);
      await stopCluster(rig.specs.blue);
      await rm(join(dataDirectory(rig.specs.blue), file));
      await controlOf(rig.specs.blue).start();
      await put(2, 'two');
      await reached('way-back.remade');
    });
    expect(gate()?.verdict).to.equal('pass');
    expect(wayBackGap(journal.entries())?.because).to.contain('could not open file');
    await wholeAfterRollback(2);
  });

  it('is not thrown away where its server runs and lets nobody in, and that is said [L]', async () => {
    const session = await connect(rig.blue.access, 'admin');
    try {
      const error = await failure(
        release().watched(async () => {
          await session.query('ALTER ROLE admin NOLOGIN');
          // The bake time is over before anybody can have noticed.
        }),
      );
      expect(hasCode(error, 'no-way-back')).to.equal(true);
      expect(error?.message).to.contain('it runs, and refuses sessions: role "admin" is not permitted to log in');
      expect(wayBackGap(journal.entries())).to.equal(undefined);
      expect((await session.query('SELECT FROM codes')).rowCount).to.equal(1);
    } finally {
      await session.query('ALTER ROLE admin LOGIN');
      await close(session);
    }
  });

  it('is brought up where its server has merely stopped, and not copied', async () => {
    const first = await value(rig.blue, 'SELECT system_identifier::text FROM pg_control_system()').catch(() => '');
    await release().watched(() => stopCluster(rig.specs.blue));
    expect(gate()?.verdict).to.equal('pass');
    expect(said()).to.contain('brought up again');
    expect(wayBackGap(journal.entries())).to.equal(undefined);
    expect(await value(rig.blue, 'SELECT system_identifier::text FROM pg_control_system()').catch(() => '')).to.equal(
      first,
    );
  });

  for (const [id, verdict] of [
    ['compatibility', 'waived'],
    ['data-comparison', 'inconclusive'],
  ] as const)
    it(`is refused where ${id} is ${verdict}: nothing is touched, and it is said`, async () => {
      judged(id, verdict);
      const error = await failure(
        release().watched(async (signal) => {
          await loseSlot();
          await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
        }),
      );
      expect(error).to.be.instanceOf(StageStopped);
      expect(error?.message).to.contain(`(${id}: ${verdict})`);
      expect(wayBackGap(journal.entries())).to.equal(undefined);
      expect(await value(rig.blue, 'SELECT count(*)::int FROM codes')).to.equal(1);
    });

  it('keeps a rollback that was asked for waiting until it is there', async () => {
    await rig.run(rig.green, `INSERT INTO badges VALUES (1, 'gold')`);
    const error = await failure(
      release().watched(async () => {
        await loseSlot();
        await reached('way-back.remaking');
        throw new StageStopped('rolled-back', 'rollback was asked for');
      }),
    );
    expect(error?.message).to.equal('rollback was asked for');
    await wholeAfterRollback(1);
  });

  it('goes on after a run that died meanwhile; nothing goes back before, whatever is accepted', async () => {
    await rig.run(rig.green, `INSERT INTO badges VALUES (1, 'gold')`);
    const since = new Date().toISOString();
    journal.append({ type: 'way-back.remaking', colour: 'blue', because: 'it was lost', since });
    // Half of the work is done: the replication is ended, and an empty database is there.
    await stopSync(back());
    await discard();
    await up();
    expect((await failure(release().back(true)))?.message).to.contain('a rollback is not possible before');
    expect(router.split.live).to.equal('green');
    await release().watched(() => Promise.resolve());
    expect(gate()?.verdict).to.equal('pass');
    expect(wayBackGap(journal.entries())).to.deep.include({ since, because: 'it was lost' });
    await wholeAfterRollback(1);
  });

  it('says that nothing can go back where the copy cannot be made, also where the new version would have to', async () => {
    const error = await failure(
      release().watched(async () => {
        await loseSlot();
        // Somebody gets changes of blue: it must not be replaced.
        await withClient(rig.blue.access, 'admin', (client) =>
          client.query(`SELECT pg_create_logical_replication_slot('somebody', 'pgoutput')`),
        );
        await reached('way-back.remaking');
        throw new StageStopped('rolled-back', 'too many errors');
      }),
    );
    await withClient(rig.blue.access, 'admin', (client) => dropSlot(client, 'somebody'));
    expect(hasCode(error, 'no-way-back')).to.equal(true);
    expect(error?.message).to.contain('replication slot somebody').and.contain('too many errors');
    expect(gate()?.verdict).to.equal('inconclusive');
    await startCluster(rig.specs.blue).catch(() => undefined);
  });
});
