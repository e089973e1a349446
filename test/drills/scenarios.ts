import { join } from 'node:path';
import { exitCodes } from '../../automation/ui/exit-codes.ts';
import { shortRelease } from './definition.ts';
import type { Check, Scenario } from './scenario.ts';

const noGo = (stage: Scenario['expect']['stage'], gate?: string): Scenario['expect'] => ({
  exitCode: exitCodes.noGo,
  verdict: 'no-go',
  stage,
  ...(gate === undefined ? {} : { gate }),
});
const rolledBack = (stage: Scenario['expect']['stage'], gate?: string): Scenario['expect'] => ({
  ...noGo(stage, gate),
  exitCode: exitCodes.rolledBack,
  verdict: 'rolled-back',
});
const resumed = (stage: Scenario['expect']['stage']): Scenario['expect'] => ({
  exitCode: exitCodes.go,
  verdict: 'go',
  stage,
});
const exits = (what: string, found: number, wanted: number): Check[] => [
  { what: `${what} exits with ${wanted}`, ok: found === wanted, found: String(found) },
];

const build: Scenario['changes'] = {
  application: {
    ...shortRelease.application,
    build: { command: ['node', 'test/drills/faulty-build.ts'], timeoutSeconds: 60 },
  },
};
const planted = (name: string) => ({ planted: name, changes: build });

/** A day of the week on which the window is closed whatever the time zone: the day after tomorrow. */
const distantDay =
  (['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const)[(new Date().getUTCDay() + 3) % 7] ?? 'mon';

/** In the order in which they run. Those that end with `go` are last: the version that they leave live is the next one. */
/** The cutover publishes the new colour, for the way back, before it holds writes: from then on replicated scores are changed. */
const changesFromTheCutoverOn = `
  CREATE FUNCTION public.drill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT FROM pg_publication) THEN NEW.score := (NEW.score + 1) % 101; END IF; RETURN NEW;
  END $$;
  CREATE TRIGGER drill BEFORE INSERT ON public.progress_events FOR EACH ROW EXECUTE FUNCTION public.drill();
  ALTER TABLE public.progress_events ENABLE ALWAYS TRIGGER drill`;

export const scenarios: Scenario[] = [
  {
    name: 'window',
    fault: 'the release window is closed',
    expect: noGo('preflight'),
    felt: 'nothing',
    changes: { window: { days: [distantDay], from: '10:00', to: '11:00', timeZone: 'UTC' } },
  },
  {
    name: 'unit-tests',
    fault: 'the address of a client is believed',
    expect: noGo('build', 'unit-tests'),
    felt: 'nothing',
    ...planted('trusts-first-hop'),
  },
  {
    name: 'integration-tests',
    fault: 'requests in flight are dropped when an instance stops',
    expect: noGo('build', 'integration-tests'),
    felt: 'nothing',
    ...planted('drops-in-flight'),
  },
  {
    name: 'migration',
    fault: 'a migration divides by zero half-way',
    expect: { exitCode: exitCodes.problem, verdict: 'failed', stage: 'build' },
    felt: 'nothing',
    compiled: 'migration-fails',
  },
  {
    name: 'second-release',
    fault: 'a second release is started while one runs',
    expect: noGo('build', 'integration-tests'),
    felt: 'nothing',
    // So that the first one ends soon.
    ...planted('drops-in-flight'),
    act: {
      stage: 'build',
      afterMs: 0,
      run: async ({ run }) => exits('the second release', await run('release'), exitCodes.locked),
    },
  },
  {
    name: 'acceptance',
    fault: 'preferences are not kept',
    expect: noGo('staging', 'acceptance'),
    felt: 'nothing',
    compiled: 'acceptance-fails',
  },
  {
    name: 'headers',
    fault: 'pages run scripts that were slipped in',
    expect: noGo('staging', 'headers'),
    felt: 'nothing',
    ...planted('inline-scripts'),
  },
  {
    name: 'load',
    fault: 'one endpoint takes 800 ms',
    expect: noGo('staging', 'load'),
    felt: 'nothing',
    compiled: 'slow-endpoint',
  },
  {
    name: 'capacity',
    fault: 'a forgotten limit: enough for today, not for growth',
    expect: noGo('staging', 'capacity'),
    felt: 'nothing',
    ...planted('forgotten-limit'),
  },
  {
    name: 'security-scan',
    fault: 'the search puts its input into SQL',
    expect: noGo('staging', 'security-scan'),
    felt: 'nothing',
    compiled: 'sql-injection',
  },
  {
    name: 'authentication',
    fault: 'the chat answers strangers',
    expect: noGo('staging', 'authentication'),
    felt: 'nothing',
    ...planted('open-door'),
  },
  {
    name: 'backup-restore',
    fault: 'one bit of the backup flips before it is checked',
    expect: noGo('backup', 'backup-restore'),
    felt: 'nothing',
    env: { GREENLIGHT_TOOLS: join(import.meta.dirname, 'tools') },
  },
  {
    name: 'migration-rehearsal',
    fault: 'a migration that a row of today breaks: no backup has it, and masking hides it',
    expect: noGo('backup', 'migration-rehearsal'),
    felt: 'nothing',
    ...planted('refuses-real-data'),
    arrange: async ({ live, sql }) => {
      await sql(
        live,
        `WITH made AS (INSERT INTO public.accounts (email, name, password_hash) VALUES ('someone@drill.invalid', 'Drill', '-')
           RETURNING id) INSERT INTO public.preferences (account_id) SELECT id FROM made`,
      );
      return () => sql(live, `DELETE FROM public.accounts WHERE email = 'someone@drill.invalid'`);
    },
  },
  {
    name: 'rehearsal-acceptance',
    fault: 'storing a score fails on the real data only',
    expect: noGo('backup', 'rehearsal-acceptance'),
    felt: 'nothing',
    ...planted('fails-on-real-data'),
  },
  {
    name: 'compatibility',
    fault: 'a migration drops what the old version uses',
    expect: noGo('backup', 'compatibility'),
    felt: 'nothing',
    compiled: 'incompatible-migration',
  },
  {
    name: 'preconditions',
    fault: 'a table without a key in the live database',
    expect: { exitCode: exitCodes.problem, verdict: 'failed', stage: 'prepare' },
    felt: 'nothing',
    arrange: async ({ live, sql }) => {
      await sql(live, 'CREATE TABLE public.drill_notes (body text); ALTER TABLE public.drill_notes OWNER TO owner');
      return () => sql(live, 'DROP TABLE public.drill_notes');
    },
  },
  {
    name: 'smoke',
    fault: 'a read writes, which an idle colour must not',
    expect: noGo('prepare', 'smoke'),
    felt: 'nothing',
    compiled: 'read-that-writes@production',
  },
  {
    name: 'alerts',
    fault: 'an alert receiver is down',
    expect: noGo('prepare', 'alerts'),
    felt: 'nothing',
    // The discard port: nobody listens there.
    changes: { alerts: { receivers: [{ name: 'on-call', webhook: 'http://127.0.0.1:9/alert' }] } },
  },
  {
    name: 'canary-errors',
    fault: 'one read in twenty fails in production',
    expect: rolledBack('canary'),
    felt: 'failed requests',
    compiled: 'error-on-reads@production',
    // As many requests as the sample's own release has: one failure of few could be chance.
    changes: { synthetic: { script: shortRelease.load.script, requestsPerSecond: 200 } },
  },
  {
    name: 'canary-hang',
    fault: 'after twenty reads the next is never answered, in production',
    expect: rolledBack('canary'),
    felt: 'failed requests',
    compiled: 'hang@production',
    // So long that some of them hang before it ends, and are seen to.
    changes: {
      synthetic: { script: shortRelease.load.script, requestsPerSecond: 200 },
      canary: { ...shortRelease.canary, stepSeconds: 15 },
    },
  },
  {
    name: 'canary-thin',
    fault: 'one request a second: too little to judge by',
    expect: rolledBack('canary'),
    felt: 'nothing',
    changes: { synthetic: { script: shortRelease.load.script, requestsPerSecond: 1 } },
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

function kill({ killRelease }: Parameters<NonNullable<Scenario['act']>['run']>[0]): Promise<Check[]> {
  killRelease();
  return Promise.resolve([]);
}
