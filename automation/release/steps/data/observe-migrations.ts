import type { Artefact } from '../../../../infra/model.ts';
import type { DatabaseAccess } from '../../../../infra/platform/databases.ts';
import type { Jobs } from '../../../../infra/platform/jobs.ts';
import { messageOf } from '../../../../infra/lib/errors.ts';
import { unannounced } from '../../../data/effects/announced.ts';
import type { Effect } from '../../../data/effects/effect.ts';
import { changesBetween, judgeEffects } from '../../../data/effects/judge.ts';
import { withLocksSeen } from '../../../data/effects/locks.ts';
import { lookAt, type Look } from '../../../data/effects/look.ts';
import { judgeMigrations } from '../../../data/migrations/judge.ts';
import type { Phase } from '../../../data/migrations/phases.ts';
import { isAmong } from '../../../data/own-records.ts';
import type { EffectFacts } from '../../../gates/data/effects.ts';
import type { ReleaseContext } from '../../context/context.ts';
import { filesOfRelease } from './judge-migrations.ts';
import { migrateAgain } from './migrate.ts';

export interface ToObserve {
  phase: Phase;
  access: DatabaseAccess;
  jobs: Jobs;
  /** The version that is live. */
  old: Artefact;
}

/** Runs migrations on the copy, to which nobody else writes, and sees what they do there: a command is run twice. */
export async function observe<T>(
  context: ReleaseContext,
  observed: ToObserve,
  run: () => Promise<T>,
): Promise<{ result: T; seen: EffectFacts }> {
  const { phase, access } = observed;
  const look = (before?: Look): Promise<Look> => {
    context.waiting(`reading every table of the copy, ${before === undefined ? 'before' : 'after'} the migrations`);
    return lookAt(access, before);
  };
  const before = await look();
  const { result, locks } = await withLocksSeen(access, run);
  const after = await look(before);
  const effects = await judgeEffects({ before, after, locks }, phase);
  const found = await newOf(context, effects, observed);
  const contents = [...before.contents.values()];
  const seen: EffectFacts = {
    tables: contents.length,
    rows: contents.reduce((sum, { rows }) => sum + rows, 0),
    effects: found,
    announced: effects.length - found.length,
    locks,
  };
  const { migrations } = context.definition.application;
  if (migrations === undefined || 'directory' in migrations) return { result, seen };
  return {
    result,
    seen: { ...seen, again: await again(context, observed, async () => changesBetween(after, await look(after))) },
  };
}

/** Those that the judgement of the files has not named. A command has no files, and its own record is meant to change. */
async function newOf(context: ReleaseContext, effects: Effect[], { old, phase }: ToObserve): Promise<Effect[]> {
  const { migrations } = context.definition.application;
  if (migrations === undefined) return effects;
  if (!('directory' in migrations))
    return effects.filter(({ rule, object }) => rule !== 'changes-rows' || !isAmong(object, migrations.records));
  const { toJudge } = await filesOfRelease(context, migrations, old);
  return unannounced(effects, judgeMigrations(toJudge), toJudge, phase);
}

async function again(
  context: ReleaseContext,
  { phase, access, jobs }: ToObserve,
  changes: () => Promise<string[]>,
): Promise<string[]> {
  try {
    await migrateAgain(context, phase, { access, artefact: context.artefact(), where: 'scratch', jobs });
  } catch (error) {
    context.signal.throwIfAborted();
    return [messageOf(error)];
  }
  return await changes();
}
