import { shortRelease } from '../definition.ts';
import type { Hands } from '../hands.ts';
import { check } from '../judge.ts';
import { renamesColumn } from '../planted-faults.ts';
import type { Check, Scenario } from '../scenario.ts';
import { planted, resumed, rolledBack } from './expected.ts';

/** Longest time without writes, s: a fault that lasts is felt for so long. */
const longestSeconds = 45;

const withWindow = (): Pick<Scenario, 'planted' | 'changes'> => {
  const { planted: fault, changes } = planted('renames-column', {
    ...shortRelease.application,
    migrations: {
      directory: 'migrations',
      contract: ['009_2.0.0_contract.sql'],
      incompatible: { files: [renamesColumn], readOnlyWindow: { longestSeconds } },
    },
  });
  // Without a canary the version is cold when it gets all users at once, some of whom come back at that moment.
  const slo = { ...shortRelease.slo, p95Ms: 2_000 };
  return { planted: fault, changes: { ...changes, slo, canary: { ...shortRelease.canary, steps: [] } } };
};

const refuses = async ({ router }: Hands): Promise<boolean> => (await router.read()).refuses === true;

/** What a client feels while writes are refused. */
async function feel({ live }: Hands): Promise<Check[]> {
  // Not before the drills have a home of their own.
  const { look } = await import('../world.ts');
  const { answered, split } = await look();
  return [check('live in the window', split?.live, live), check('a write in the window', answered.write, 503)];
}

/** Somebody reads the table on the new colour, in a transaction that stays open: no migration of it gets its lock. */
const lockOut = ({ idle, sql }: Hands): Promise<Check[]> =>
  sql(idle, 'BEGIN; SELECT FROM public.preferences LIMIT 1; SELECT pg_sleep(300)').then(
    () => [],
    // It ends with its database.
    () => [],
  );

/** A column that the live version uses gets another name. */
export const readOnlyWindow: Scenario[] = [
  {
    name: 'read-only-window-undone',
    fault: 'in a read-only window the migration does not get its lock on the new colour',
    expect: rolledBack('cutover'),
    felt: 'nothing',
    ...withWindow(),
    act: { stage: 'canary', afterMs: 0, when: refuses, run: lockOut },
  },
  {
    name: 'read-only-window',
    fault: 'a migration that the live version does not survive, in a read-only window',
    expect: resumed('cutover'),
    felt: 'nothing',
    ...withWindow(),
    act: { stage: 'canary', afterMs: 0, when: refuses, run: feel },
  },
];
