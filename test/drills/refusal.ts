import { booksOf, check, untouched, withoutReport, worldIsWhole, type DrillResult, type Outcome } from './judge.ts';
import type { Scenario } from './scenario.ts';

/** What comes of a command that refuses to begin: no report, but its own words. */
export interface Refusal extends Omit<Outcome, 'report'> {
  /** Whatever the command printed. */
  said: string;
  /** It left a release that has no end. */
  unfinished: boolean;
}

/** A refusal is right where it says why in a message for people, and nothing has changed. */
export function judgeRefusal(scenario: Scenario, refusal: Refusal): DrillResult {
  const { exitCode, before, after, seconds, said } = refusal;
  const message = said
    .split('\n')
    .slice(said.split('\n').findIndex((line) => line.startsWith('✕')))
    .join(' ')
    .trim();
  const checks = [
    ...refusal.checks,
    check('exit code', exitCode, scenario.expect.exitCode),
    {
      what: 'says why',
      ok: said.includes('✕') && !/\n\s+at /.test(said) && scenario.expect.says?.test(message) !== false,
      found: message.slice(0, 300),
    },
    check('leaves an unfinished release', refusal.unfinished, false),
    ...booksOf(scenario, refusal.ledger),
    ...untouched(before, after),
    ...worldIsWhole(after),
  ];
  return {
    ...withoutReport(scenario),
    ok: checks.every(({ ok }) => ok),
    verdict: exitCode === scenario.expect.exitCode ? 'refused' : `exit code ${exitCode}`,
    exitCode,
    reason: message,
    ...(refusal.ledger === undefined ? {} : { ledger: refusal.ledger }),
    seconds,
    checks,
  };
}
