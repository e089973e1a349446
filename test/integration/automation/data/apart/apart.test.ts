import { expect } from 'chai';
import { openApart } from '../../../../../automation/data/apart/open.ts';
import { compareFollowing } from '../../../../../automation/data/comparison/following.ts';
import { withClient } from '../../../../../automation/data/connect.ts';
import type { CutoverResult } from '../../../../../automation/data/cutover/types.ts';
import { linkBetween } from '../../../../../automation/data/link.ts';
import { strayRights } from '../../../../../automation/data/publication/rights.ts';
import { schemaDrift } from '../../../../../automation/data/replication/schema-drift.ts';
import { startSync, syncStatus, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { newerVersion } from '../../../../lib/newer-postgres.ts';
import { CutoverScene } from '../cutover/scene.ts';
import { expand, schemaV1, value } from '../rig.ts';
import { MemoryRouter } from '../traffic.ts';
import { apartSchema, Readers } from './readers.ts';

const rules = (keep: 'merge' | 'drop') => [
  { table: 'Sessions', keep },
  { table: 'public.visits', keep: 'drop' as const },
];

const problemsOf = (r: CutoverResult) => [
  ...r.problems,
  ...r.warnings,
  ...r.tables.filter((t) => !t.equal).map((t) => `${t.table}: ${t.detail}`),
];

for (const version of [undefined, newerVersion])
  describe(`tables that reads write, on the colour that is not live${version === undefined ? '' : `, PostgreSQL ${version}`}`, () => {
    const scene = new CutoverScene(
      { holdMs: 4000, drainMs: 2000 },
      version === undefined ? {} : { blue: version, green: version },
    );
    let readers: Readers | undefined;
    afterEach(async () => {
      await readers?.stop();
      if (readers !== undefined && readers.failures.length > 0) console.log(readers.failures.slice(0, 10));
      readers = undefined;
    });

    async function canary(keep: 'merge' | 'drop'): Promise<Readers> {
      const { rig } = scene;
      await rig.fresh(schemaV1 + apartSchema);
      scene.router = new MemoryRouter();
      await expand(rig);
      const link = await startSync(rig.blue, rig.green);
      await waitForSync(link, { timeoutMs: 30_000 });
      await withClient(rig.green.access, 'admin', (client) => openApart(client, rules(keep)));
      readers = new Readers(rig, scene.router);
      await readers.more('green', 300);
      return readers;
    }

    for (const keep of ['merge', 'drop'] as const)
      it(`are written there without an error, and ${keep === 'merge' ? 'kept' : 'dropped'} at the cutover; nothing of the live side is lost, forward and back [${keep}]`, async () => {
        const { rig } = scene;
        const all = await canary(keep);
        const link = linkBetween(rig.blue, rig.green);
        expect((await syncStatus(link)).problem).to.equal(undefined);
        expect((await compareFollowing(link, 'left')).filter(({ equal }) => !equal)).to.deep.equal([]);
        expect((await withClient(rig.green.access, 'admin', strayRights)).map(({ found }) => found)).to.deep.equal([]);
        expect(await schemaDrift(link)).to.deep.equal([]);
        all.canary = true;
        await all.more('green', 100);

        const there = await scene.forward();
        expect(problemsOf(there)).to.deep.equal([]);
        console.log('    held %d ms; %s', Math.round(there.holdMs), JSON.stringify(there.apart));
        const kept = there.apart?.find(({ table }) => table === 'public.Sessions')?.kept ?? -1;
        if (keep === 'drop') expect(kept).to.equal(0);
        else expect(kept).to.be.greaterThan(10);
        await all.more('green', 50);
        await all.more('blue', 50);
        const back = linkBetween(rig.green, rig.blue);
        expect((await syncStatus(back)).problem).to.equal(undefined);
        expect((await compareFollowing(back, 'common')).filter(({ equal }) => !equal)).to.deep.equal([]);

        const home = await scene.back();
        expect(problemsOf(home)).to.deep.equal([]);
        all.canary = false;
        await all.stop();
        expect(all.failures).to.deep.equal([]);
        const n = Number(
          await value<string>(rig.blue, `SELECT n FROM visits WHERE page = 'counted' AND day = '2024-05-05'`),
        );
        expect(n % 1000, `${n} of ${all.counted}`).to.equal(all.counted % 1000);
        const left = `SELECT count(*)::int FROM pg_trigger WHERE tgname LIKE 'greenlight_apart%'`;
        expect(await value<number>(rig.blue, left)).to.equal(0);
      });
  });
