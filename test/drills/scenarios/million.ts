import { exitCodes } from '../../../automation/ui/exit-codes.ts';
import type { Hands } from '../hands.ts';
import { shortRelease } from '../definition.ts';
import type { Scenario } from '../scenario.ts';
import { exits, rolledBack } from './expected.ts';

const accounts = 1_000_000;
/** A statement of a drill has a minute. */
const batch = 50_000;

/** An account with its preferences and one answer each, as users leave them, in the live database. */
async function fill({ live, sql }: Hands): Promise<void> {
  for (let from = 1; from <= accounts; from += batch)
    await sql(
      live,
      `WITH made AS (
         INSERT INTO public.accounts (email, name, password_hash)
         SELECT 'million-' || i || '@synthetic.invalid', 'Person ' || i, md5(i::text) FROM generate_series(${from}, ${from + batch - 1}) i
         RETURNING id),
       preferred AS (
         INSERT INTO public.preferences (account_id) SELECT id FROM made),
       answered AS (
         INSERT INTO public.progress (account_id, lesson_id, best_score, attempts) SELECT id, 'risk', id % 101, 1 FROM made)
       INSERT INTO public.progress_events (account_id, lesson_id, score, key) SELECT id, 'risk', id % 101, 'million-' || id FROM made`,
    );
}

/** Too long to be one of all drills: asked for by name. What it measures is in its result. */
export const onDemand: Scenario[] = [
  {
    name: 'million',
    fault: 'a million accounts, and somebody asks for a rollback in the bake time',
    expect: rolledBack('bake'),
    felt: 'nothing',
    minutes: 60,
    // The rollback ends it: a command of this size needs more than the seconds of the other drills until it is heard.
    changes: { bake: { ...shortRelease.bake, seconds: 60 } },
    // The accounts stay: the environment is destroyed after the last drill, and this is the last one.
    arrange: async (hands) => {
      await fill(hands);
      return () => Promise.resolve();
    },
    act: {
      stage: 'bake',
      afterMs: 3_000,
      run: async ({ run }) => exits('npm run rollback', await run('rollback'), exitCodes.go),
    },
  },
];
