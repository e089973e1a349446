import { setTimeout as sleep } from 'node:timers/promises';
import { pastReleases } from '../../../automation/journal/history.ts';
import { describeGap, wayBackGap, type WayBackGap } from '../../../automation/journal/way-back.ts';
import { exitCodes } from '../../../automation/ui/exit-codes.ts';
import { shortRelease } from '../definition.ts';
import type { Scenario } from '../scenario.ts';
import { exits, kill, planted, resumed, rolledBack } from './expected.ts';

/** The cutover publishes the new colour, for the way back, before it holds writes: from then on replicated scores are changed, and no others. */
const changesFromTheCutoverOn = `
  CREATE FUNCTION public.drill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT FROM pg_publication) THEN NEW.score := (NEW.score + 1) % 101; END IF; RETURN NEW;
  END $$;
  CREATE TRIGGER drill BEFORE INSERT ON public.progress_events FOR EACH ROW EXECUTE FUNCTION public.drill();
  ALTER TABLE public.progress_events ENABLE REPLICA TRIGGER drill`;

/** Waits until the release has made the lost database anew, or has given that up. */
async function untilRemade(): Promise<WayBackGap | undefined> {
  for (;;) {
    const [release] = pastReleases('production');
    const gap = wayBackGap(release?.entries ?? []);
    if (gap?.until !== undefined || release?.ended !== undefined) return gap;
    await sleep(500);
  }
}

/** What users could feel, and what has to take them back. */
export const withTraffic: Scenario[] = [
  {
    name: 'canary-errors',
    fault: 'one read in twenty fails in production',
    expect: rolledBack('canary'),
    felt: 'failed requests',
    compiled: 'error-on-reads@production',
    // As many requests as the sample's own release has: one failure of few could be chance.
    changes: { synthetic: { script: shortRelease.load?.script, requestsPerSecond: 200 } },
  },
  {
    name: 'canary-hang',
    fault: 'after twenty reads the next is never answered, in production',
    expect: rolledBack('canary'),
    felt: 'failed requests',
    compiled: 'hang@production',
    // So long that some of them hang before it ends, and are seen to.
    changes: {
      synthetic: { script: shortRelease.load?.script, requestsPerSecond: 200 },
      canary: { ...shortRelease.canary, stepSeconds: 15 },
    },
  },
  {
    name: 'canary-thin',
    fault: 'one request a second: too little to judge by',
    expect: rolledBack('canary'),
    felt: 'nothing',
    changes: { synthetic: { script: shortRelease.load?.script, requestsPerSecond: 1 } },
  },
  {
    name: 'following',
    fault: 'a row is changed on the new colour behind the replication',
    expect: rolledBack('canary', 'following'),
    felt: 'nothing',
    act: {
      stage: 'canary',
      afterMs: 3_000,
      run: async ({ idle, sql }) => {
        await sql(idle, `UPDATE public.lessons SET title = title || ' (changed)' WHERE id = 'risk'`);
        return [];
      },
    },
  },
  {
    name: 'data-comparison',
    fault: 'from the cutover on, rows that the replication brings are changed on the new colour',
    expect: rolledBack('cutover', 'data-comparison'),
    felt: 'nothing',
    act: {
      stage: 'canary',
      afterMs: 3_000,
      run: async ({ idle, sql }) => {
        await sql(idle, changesFromTheCutoverOn);
        return [];
      },
    },
  },
  {
    name: 'bake-writes',
    fault: 'the new version cannot store a score: no read shows it',
    expect: rolledBack('bake'),
    felt: 'failed requests',
    ...planted('fails-writes'),
  },
  {
    name: 'bake-crashes',
    fault: 'every api process of the new colour dies, again and again',
    expect: rolledBack('bake'),
    felt: 'failed requests',
    act: {
      stage: 'bake',
      afterMs: 2_000,
      run: async ({ idle, killInstances }) => {
        const killed = await killInstances('api', idle, 3);
        return [{ what: 'api processes were killed', ok: killed > 0, found: String(killed) }];
      },
    },
  },
  {
    name: 'way-back',
    fault: 'in the bake time the new colour gets a row that the old schema cannot hold',
    expect: rolledBack('bake', 'way-back'),
    felt: 'nothing',
    act: {
      stage: 'bake',
      afterMs: 3_000,
      run: async ({ idle, sql }) => {
        await sql(idle, 'ALTER TABLE public.login_attempts ALTER COLUMN attempts DROP NOT NULL');
        await sql(idle, `INSERT INTO public.login_attempts (scope, attempts) VALUES ('drill', NULL)`);
        return [];
      },
    },
  },
  {
    name: 'old-database-lost',
    fault:
      'in the bake time the data directory of the old colour is deleted; once the way back exists again, somebody asks for a rollback',
    expect: rolledBack('bake'),
    felt: 'nothing',
    changes: { bake: { ...shortRelease.bake, seconds: 400 } },
    minutes: 20,
    restarted: /^database\./,
    act: {
      stage: 'bake',
      afterMs: 3_000,
      run: async ({ live, loseDatabase, run }) => {
        loseDatabase(live);
        const gap = await untilRemade();
        return [
          { what: 'the way back exists again', ok: gap?.until !== undefined, found: gap ? describeGap(gap) : 'no gap' },
          ...exits('npm run rollback', await run('rollback'), exitCodes.go),
        ];
      },
    },
  },
  {
    name: 'user-journey',
    fault: 'the new version says it stored a score, and did not',
    expect: rolledBack('bake', 'user-journey'),
    felt: 'lost writes',
    ...planted('loses-writes'),
  },
  {
    name: 'rollback',
    fault: 'somebody asks for a rollback in the bake time',
    expect: rolledBack('bake'),
    felt: 'nothing',
    act: {
      stage: 'bake',
      afterMs: 3_000,
      run: async ({ run }) => exits('npm run rollback', await run('rollback'), exitCodes.go),
    },
  },
];

/** The release itself dies. They end with a new version, which is the next one's old version. */
export const killedRelease: Scenario[] = [
  {
    name: 'killed-in-canary',
    fault: 'the release is killed in the canary, then resumed',
    expect: resumed('canary'),
    felt: 'nothing',
    act: { stage: 'canary', afterMs: 4_000, run: kill },
    endedBy: 'resume',
  },
  {
    name: 'killed-in-bake',
    fault: 'the release is killed in the bake time, then resumed',
    expect: resumed('bake'),
    felt: 'nothing',
    act: { stage: 'bake', afterMs: 3_000, run: kill },
    endedBy: 'resume',
  },
  {
    name: 'killed-in-cleanup',
    fault: 'the release is killed while the old colour is taken down, then resumed',
    expect: resumed('cleanup'),
    felt: 'nothing',
    act: { stage: 'cleanup', afterMs: 1_500, run: kill },
    endedBy: 'resume',
  },
];
