import { join } from 'node:path';
import { exitCodes } from '../../../automation/ui/exit-codes.ts';
import type { Scenario } from '../scenario.ts';
import { accepting, exits, noGo, planted } from './expected.ts';

/** A day of the week on which the window is closed whatever the time zone: the day after tomorrow. */
const distantDay =
  (['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const)[(new Date().getUTCDay() + 3) % 7] ?? 'mon';

/** What is found before a request of a user goes to the new version. */
export const beforeTraffic: Scenario[] = [
  {
    name: 'window',
    fault: 'the release window is closed',
    expect: noGo('preflight'),
    felt: 'nothing',
    changes: { window: { days: [distantDay], from: '10:00', to: '11:00', timeZone: 'UTC' } },
  },
  {
    name: 'migrations',
    fault: 'a unique index that a later write of the live version would break, and that no row of today breaks',
    expect: noGo('build', 'migrations'),
    felt: 'nothing',
    ...planted('unique-until-now'),
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
    env: { GREENLIGHT_TOOLS: join(import.meta.dirname, '..', 'tools') },
  },
  {
    name: 'migration-rehearsal',
    fault: 'a migration that a row of today breaks: no backup has it, and masking hides it',
    expect: noGo('backup', 'migration-rehearsal'),
    felt: 'nothing',
    // Accepted, so that it comes as far as the real data.
    ...planted('refuses-real-data', accepting('002_2.0.0_points.sql')),
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
    name: 'migration-effects',
    fault: 'code in a migration makes a unique index that a later write of the live version would break',
    expect: noGo('backup', 'migration-effects'),
    felt: 'nothing',
    ...planted('unique-by-code'),
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
    fault: 'a migration refuses what the old version writes',
    expect: noGo('backup', 'compatibility'),
    felt: 'nothing',
    compiled: 'incompatible-migration',
    // Accepted, so that it comes as far as the old version's tests.
    changes: { application: accepting('008_2.0.0_incompatible-migration.sql') },
  },
  {
    name: 'contract-rehearsal',
    fault: 'the contract migration drops what the new version still uses',
    expect: noGo('backup', 'contract-rehearsal'),
    felt: 'nothing',
    ...planted('contract-takes-too-much'),
  },
  {
    name: 'preconditions',
    fault: 'a table without a key in the live database',
    expect: noGo('preflight'),
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
];
