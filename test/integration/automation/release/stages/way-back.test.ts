import { mkdtempSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { ReleaseDefinitionInput } from '../../../../../automation/config/schema.ts';
import { cutover as move } from '../../../../../automation/data/cutover/cutover.ts';
import { rows, withClient } from '../../../../../automation/data/connect.ts';
import { linkBetween } from '../../../../../automation/data/link.ts';
import { startSync, syncStatus, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { dropSlot } from '../../../../../automation/data/link.ts';
import { markExpanded, markLive, unmark } from '../../../../../automation/data/written-by.ts';
import { lastOf } from '../../../../../automation/journal/entries.ts';
import { describeLoss, lossIn } from '../../../../../automation/journal/loss.ts';
import { openJournal, type Journal } from '../../../../../automation/journal/journal.ts';
import { openRun, type ReleaseSettings } from '../../../../../automation/release/context/context.ts';
import { StageStopped } from '../../../../../automation/release/context/stage.ts';
import { cutover } from '../../../../../automation/release/stages/cutover.ts';
import { remedyOf } from '../../../../../automation/release/steps/data/remake.ts';
import { whileWayBackHolds } from '../../../../../automation/release/steps/traffic/keep-way-back.ts';
import { hasCode } from '../../../../../infra/lib/errors.ts';
import { startCluster, stopCluster } from '../../../../../infra/local/postgres/cluster.ts';
import { createRig, expand, value, type Rig } from '../../data/rig.ts';
import { MemoryRouter } from '../../data/traffic.ts';
import { releaseSettings } from '../settings.ts';

describe('the way back of a release', () => {
  let rig: Rig;
  let router: MemoryRouter;
  let directory: string;
  let journal: Journal;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());

  const schema = `CREATE TABLE codes (id int PRIMARY KEY, code varchar(20)); INSERT INTO codes VALUES (1, 'one');
    CREATE TYPE mood AS ENUM ('calm'); CREATE VIEW shown AS SELECT code FROM codes`;
  /** The longer code is not repeated on the old side, as a view needs it there. */
  const migration = `DROP VIEW shown; ALTER TABLE codes ALTER COLUMN code TYPE varchar(50), ADD COLUMN colour text;
    CREATE VIEW shown AS SELECT code FROM codes; ALTER TYPE mood ADD VALUE 'odd';
    CREATE TABLE badges (id int PRIMARY KEY, name text)`;

  /** Green live with its migration and some data of its own, blue following. */
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'greenlight-way-back-'));
    journal = openJournal(directory);
    await rig.fresh(schema);
    router = new MemoryRouter();
    await expand(rig, migration);
    await waitForSync(await startSync(rig.blue, rig.green), { timeoutMs: 30_000 });
    await withClient(rig.green.access, 'admin', async (client) => {
      await markExpanded(client, { release: 'r', version: '2.0.0' });
      await markLive(client);
    });
    const settings = { holdMs: 4000, drainMs: 1000 };
    await move({ router, from: rig.blue, to: rig.green, direction: 'forward', settings });
    journal.append({ type: 'cutover.done', direction: 'forward', from: 'blue', to: 'green' });
    await rig.run(rig.green, `INSERT INTO badges VALUES (1, 'gold'), (2, 'tin'); INSERT INTO codes VALUES (2, 'two')`);
  });
  afterEach(async () => {
    await withClient(rig.green.access, 'admin', unmark);
    journal.close();
    rmSync(directory, { recursive: true });
  });

  function release(bake: ReleaseDefinitionInput['bake'] = {}, ask?: ReleaseSettings['ask']) {
    const facts = releaseSettings({
      directory,
      journal,
      definition: { cutover: { holdMs: 4000, drainMs: 1000 }, bake },
      environment: {
        router,
        databases: { of: (colour: 'blue' | 'green') => Promise.resolve(rig[colour].access) },
      },
      ask,
    });
    const { context } = openRun(facts).at('cutover');
    return {
      watched: (work: (signal: AbortSignal) => Promise<void>) =>
        whileWayBackHolds(context, facts, remedyOf(context, facts), work),
      back: (acceptLoss = false) =>
        cutover(facts).undo?.(context, { reason: 'x', outcome: 'aborted', automatic: false, acceptLoss }),
    };
  }
  const forty = (id: number) => rig.run(rig.green, `INSERT INTO codes VALUES (${id}, '${'x'.repeat(40)}')`);
  const gate = () => lastOf(journal.entries(), 'gate.judged')?.gate;
  const loss = () => {
    const done = lastOf(journal.entries(), 'rollback.done');
    return done === undefined ? undefined : describeLoss(lossIn(done));
  };
  const failure = (work: Promise<unknown> | undefined): Promise<unknown> =>
    Promise.resolve(work).then(
      () => undefined,
      (error: unknown) => error,
    );
  const ended = (signal: AbortSignal) =>
    new Promise<void>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
  const codes = () =>
    withClient(rig.blue.access, 'owner', async (client) =>
      (await rows<{ id: number }>(client, 'SELECT id FROM codes ORDER BY id')).map(({ id }) => id),
    );
  const stopped = async (): Promise<void> => {
    while ((await syncStatus(linkBetween(rig.green, rig.blue))).state !== 'broken') await sleep(50);
  };

  it('passes where it holds, and keeps aside on the way back what only the new version knows [D9]', async () => {
    await release().watched(() => sleep(100));
    expect(gate()?.verdict).to.equal('pass');
    expect(await release().back()).to.contain('blue is live again');
    expect(loss()).to.equal(
      'all that both versions know is equal; kept aside, and brought back when the version is tried again: table public.badges (2 rows)',
    );
    expect(lastOf(journal.entries(), 'data.kept')?.tables).to.deep.equal([{ table: 'public.badges', rows: 2 }]);
  });

  it('says on the way back what stays on the old side, as rows may need it [D2]', async () => {
    await release().back();
    const notes = journal.entries().flatMap((entry) => (entry.type === 'note' ? [entry.text] : []));
    expect(notes).to.include("on blue, as rows may need it from now on: type public.mood: 'odd'");
  });

  it('ends the watch within seconds where it breaks, and goes back with all but the row that does not fit [C4] [D1]', async () => {
    const started = performance.now();
    const error = await failure(
      release().watched(async (signal) => {
        await forty(3);
        await rig.run(rig.green, `INSERT INTO codes VALUES (4, 'four')`);
        await ended(signal);
      }),
    );
    expect(error).to.be.instanceOf(StageStopped);
    expect((error as StageStopped).outcome).to.equal('rolled-back');
    expect(performance.now() - started).to.be.below(30_000);
    expect(gate()?.verdict).to.equal('fail');
    expect(await release().back()).to.contain('the old schema cannot hold 1 row of public.codes, kept aside');
    expect(router.split.live).to.equal('blue');
    expect(await codes()).to.deep.equal([1, 2, 4]);
    expect(loss()).to.contain('WITH LOSS: the contents differ in public.codes');
    // The row is whole in what is kept.
    const data = await withClient(rig.blue.access, 'admin', (client) =>
      rows<{ data: string[] }>(
        client,
        `SELECT data FROM greenlight.kept_rows r JOIN greenlight.kept_sets s ON s.id = r.set WHERE kind = 'unfit'`,
      ),
    );
    expect(data).to.deep.equal([{ data: ['3', 'x'.repeat(40), null] }]);
  });

  it('stays where the definition says so, and says that there is no way back', async () => {
    await release({ brokenWayBack: 'stay' }).watched(async () => {
      await forty(3);
      await sleep(6_000);
    });
    expect(gate()?.verdict).to.equal('waived');
    expect(
      journal.entries().some((entry) => entry.type === 'note' && entry.text.includes('the way back is broken')),
    ).to.equal(true);
  });

  it('refuses to leave out a row unless somebody has accepted that, and says which and why [C4]', async () => {
    await forty(3);
    await stopped();
    const refused = (await failure(release().back())) as Error;
    expect(refused.message).to.contain('cannot hold 1 row that green has: public.codes, id = 3: value too long');
    expect(refused.message).to.contain('npm run rollback -- --accept-loss');
    expect(router.split.live).to.equal('green');
    await release().back(true);
    expect(router.split.live).to.equal('blue');
    expect(await codes()).to.deep.equal([1, 2]);
  });

  describe('with a stated loss', () => {
    it('counts what is missing where both databases answer, asks, and leaves the other database as it is', async () => {
      const link = linkBetween(rig.green, rig.blue);
      while ((await syncStatus(link)).lagBytes > 0) await sleep(20);
      await withClient(rig.green.access, 'admin', (client) => dropSlot(client, link.name));
      await rig.run(rig.green, `INSERT INTO codes VALUES (5, 'five'), (6, 'six')`);
      expect(((await failure(release().back())) as Error).message).to.contain('--accept-loss');
      const said: string[] = [];
      const no = (question: string) => Promise.resolve({ yes: said.push(question) > 99, by: 'somebody' });
      expect(((await failure(release({}, no).back(true))) as Error).message).to.contain('somebody said no');
      expect(said).to.have.length(1);
      expect(router.split.live).to.equal('green');
      const yes = () => Promise.resolve({ yes: true, by: 'somebody' });
      await release({}, yes).back(true);
      expect(router.split.live).to.equal('blue');
      expect(loss()).to.match(/^WITH LOSS of .*public\.codes: 2 rows only on green/);
      expect(await value(rig.green, 'SELECT count(*)::int FROM codes')).to.equal(4);
      await withClient(rig.blue.access, 'app', (client) => client.query(`INSERT INTO codes VALUES (9, 'nine')`));
      const refused = await failure(
        withClient(rig.green.access, 'app', (client) => client.query(`INSERT INTO codes VALUES (9, 'nine')`)),
      );
      expect((refused as Error).message).to.contain('permission denied');
    });

    it('says that it is unknown where the new colour’s database is gone, and goes back', async () => {
      journal.append({ type: 'sync.progress', direction: 'reverse', tablesReady: 1, tables: 1, lagBytes: 0, lagMs: 0 });
      await stopCluster(rig.specs.green);
      try {
        const refused = (await failure(release().back())) as Error;
        expect(refused.message).to.contain('the database of green does not answer');
        await release().back(true);
        expect(router.split.live).to.equal('blue');
        expect(loss()).to.match(/^WITH LOSS, how much is unknown: the database of green does not answer/);
        expect(loss()).to.contain('it was last seen to follow at ');
        await withClient(rig.blue.access, 'app', (client) => client.query(`INSERT INTO codes VALUES (9, 'nine')`));
      } finally {
        await startCluster(rig.specs.green);
      }
    });
  });

  it('neither goes on nor back where the old colour’s database does not answer, and says so [way back]', async () => {
    const error = await failure(
      release().watched(async () => {
        await stopCluster(rig.specs.blue);
        await sleep(14_000);
      }),
    ).finally(() => startCluster(rig.specs.blue));
    expect(hasCode(error, 'no-way-back')).to.equal(true);
    expect((error as Error).message).to.contain('the database of blue has not answered');
    expect(gate()?.verdict).to.equal('inconclusive');
    expect(
      journal.entries().some((entry) => entry.type === 'note' && entry.text.includes('blue does not answer')),
    ).to.equal(true);
  });
});
