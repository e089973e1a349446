import { expect } from 'chai';
import { openApart } from '../../../../../automation/data/apart/open.ts';
import { compareFollowing } from '../../../../../automation/data/comparison/following.ts';
import { withClient } from '../../../../../automation/data/connect.ts';
import type { CutoverStep } from '../../../../../automation/data/cutover/procedure.ts';
import { recoverCutover } from '../../../../../automation/data/cutover/recover.ts';
import { linkBetween } from '../../../../../automation/data/link.ts';
import { startSync, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { begin } from '../cutover/dying.ts';
import { CutoverScene } from '../cutover/scene.ts';
import { expand, schemaV1, value } from '../rig.ts';
import { MemoryRouter } from '../traffic.ts';
import { apartSchema, Readers } from './readers.ts';

const steps: CutoverStep[] = ['prepare', 'fence', 'carry-over', 'grant', 'flip', 'fenced', 'follow'];

describe('a cutover with tables that are apart whose program is killed', () => {
  const scene = new CutoverScene({ holdMs: 4000, drainMs: 2000 });
  let readers: Readers | undefined;
  afterEach(async () => {
    await readers?.stop();
    readers = undefined;
  });

  for (const dieAfter of steps)
    it(`after ${dieAfter}: it is undone or finished, no write is lost, and the next one goes on [I1]`, async () => {
      const { rig } = scene;
      await rig.fresh(schemaV1 + apartSchema);
      const router = (scene.router = new MemoryRouter());
      await expand(rig);
      await waitForSync(await startSync(rig.blue, rig.green), { timeoutMs: 30_000 });
      const rules = [
        { table: 'Sessions', keep: 'merge' as const },
        { table: 'visits', keep: 'drop' as const },
      ];
      await withClient(rig.green.access, 'admin', (client) => openApart(client, rules));
      const all = (readers = new Readers(rig, router));
      await all.more('green', 100);
      const move = { from: rig.blue, to: rig.green, direction: 'forward' as const };
      const { ended } = begin(router, { ...move, holdMs: 1500, dieAfter, signal: 'SIGKILL' });
      expect(await ended).to.equal('SIGKILL');
      const recovery = await recoverCutover({ router, ...move });
      expect(recovery.problems).to.deep.equal([]);
      expect(recovery.warning).to.equal(undefined);
      await all.more('green', 50);
      const finished = recovery.outcome === 'finished';
      const link = finished ? linkBetween(rig.green, rig.blue) : linkBetween(rig.blue, rig.green);
      const compared = await compareFollowing(link, finished ? 'common' : 'left');
      expect(compared.filter(({ equal }) => !equal)).to.deep.equal([]);
      const next = await (finished ? scene.back() : scene.forward());
      expect([...next.problems, ...next.tables.filter(({ equal }) => !equal)]).to.deep.equal([]);
      await all.stop();
      expect(all.failures.filter((text) => !text.startsWith('write:'))).to.deep.equal([]);
      const n = `SELECT n FROM visits WHERE page = 'counted' AND day = '2024-05-05'`;
      const live = router.split.live === 'blue' ? rig.blue : rig.green;
      expect(Number(await value<string>(live, n)) % 1000).to.equal(all.counted % 1000);
    });
});
