import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../../infra/lib/errors.ts';
import { grantWrites } from '../../../infra/application/roles.ts';
import { CutoverAborted } from '../../data/cutover/cutover.ts';
import { messageOf } from '../../../infra/lib/errors.ts';
import { describeCutover } from '../../data/cutover/procedure.ts';
import { describeWindow } from '../../data/cutover/window.ts';
import { withClient } from '../../data/connect.ts';
import type { ReleaseContext } from '../context/context.ts';
import { readOnlyWindowOf, type FirstGoLive, type Release, type Replacement } from '../context/release.ts';
import { otherThan, situation } from '../context/situation.ts';
import type { Reason, Stage, Step } from '../context/stage.ts';
import { wouldKeep } from '../../data/kept/keep.ts';
import { keptWords, lossOf, type Loss } from '../../journal/loss.ts';
import { plannedWindow } from '../../journal/window.ts';
import { afterWindow, keepKnown, keptOf } from '../steps/data/kept.ts';
import { migrateInWindow } from '../steps/data/window-migrations.ts';
import { keepReadsFresh, readsFresh } from '../steps/traffic/fresh-reads.ts';
import { tellLoosened } from '../steps/traffic/loosened.ts';
import { endLong, endsLong } from '../steps/traffic/end-long.ts';
import { goBack } from '../steps/traffic/go-back.ts';
import { moveInWindow, proveWindow } from '../steps/traffic/move-in-window.ts';
import { undoWindow } from '../steps/traffic/undo-window.ts';
import { smokeGate, smokeTitle } from '../steps/smoke.ts';
import { compareMoved, moveWrites, withSettling, type Move } from '../steps/traffic/move-writes.ts';
import { sideOf } from '../steps/traffic/link.ts';
import { keepTrafficUp } from '../synthetic/synthetic.ts';
import { beginRollback, endRollback } from '../steps/traffic/record-rollback.ts';

/** How long a cutover back is tried again, and the pause before the next try, ms. */
const backMs = 60_000;
const backPauseMs = 2_000;

/** Writes move to the new colour, and all reads with them; the other direction is replicated from then on, but for a read-only window. */
export const cutover = (release: Replacement): Stage => {
  const window = readOnlyWindowOf(release);
  return {
    ...shape(release),
    ...(window === undefined ? held(release) : windowed(release, window.longestMs)),
    async undo(context, why) {
      const [from, to] = [release.from.colour, release.to.colour];
      // By what it began with: the definition may be about another version by now.
      if (plannedWindow(context.journal.entries()) !== undefined) return undoWindow(context, release, why);
      if ((await situation(context)).live !== to) return undefined;
      return rollBack(context, { from: to, to: from, direction: 'rollback' }, why);
    },
  };
};

const held = (release: Replacement): Pick<Stage, 'steps'> => {
  const { definition, platform } = release;
  const [from, to] = [release.from.colour, release.to.colour];
  const forward = { from, to, direction: 'forward' } as const;
  return {
    steps: [
      { says: 'keep marked traffic up, where the definition asks for it', do: keepTrafficUp },
      {
        says: `move the writes from ${from} to ${to}; meanwhile they ${platform.heldWrites} (at most ${withSettling(definition.cutover, platform).holdMs} ms); until then ${readsFresh(from)}`,
        includes: describeCutover(forward),
        gates: { 'data-comparison': 'Both databases equal at the instant of the cutover' },
        async do(context) {
          // An interrupted cutover that had flipped was finished by `resume`: what is left is to prove it.
          if ((await situation(context)).live === to) await compareMoved(context, from, to);
          else await keepReadsFresh(context, from, (reads) => moveWrites(context, forward, reads));
        },
      },
      leaveLong(release),
      recordLive(release, `record in the stack of the entry point that ${to} is live`),
    ],
  };
};

const windowed = (release: Replacement, longestMs: number): Pick<Stage, 'steps' | 'workMs'> => {
  const [from, to] = [release.from.colour, release.to.colour];
  return {
    workMs: 15_000,
    steps: [
      { says: 'keep marked traffic up, where the definition asks for it', do: keepTrafficUp },
      {
        says: `move the writes from ${from} to ${to} in a read-only window of at most ${longestMs / 1000} s: users can read, and writes are answered 503; from then on there is no way back without a loss`,
        includes: describeWindow({ from, to }),
        gates: { 'data-comparison': 'Both databases equal at the instant of the cutover', smoke: smokeTitle },
        async do(context) {
          // One that had flipped was finished by `resume`.
          if ((await situation(context)).live === to) await proveWindow(context);
          else
            await moveInWindow(
              context,
              { from, to, longestMs },
              {
                async migrate(side, signal) {
                  await migrateInWindow(context, side, signal);
                  await afterWindow(context, from);
                },
                smoke: () => smokeGate(context),
              },
            );
        },
      },
      leaveLong(release),
      recordLive(release, `record in the stack of the entry point that ${to} is live`),
    ],
  };
};

/** First go-live: there is nothing to move from. The new colour may write, then the entry point opens. */
export const openEntryPoint = (release: FirstGoLive): Stage => {
  const { colour, version } = release.to;
  return {
    ...shape(release),
    steps: [
      {
        says: `let ${colour} write`,
        async do(context) {
          const { access } = await sideOf(context, colour);
          await context.act('grant-writes', `let ${colour} write`, () =>
            withClient(access, 'admin', async (client) => {
              await client.query(grantWrites);
            }),
          );
        },
      },
      recordLive(release, `open the entry point to ${colour}`),
    ],

    async undo(context) {
      if ((await situation(context)).live === colour)
        context.note(`${version} stays live: on a first go-live there is nothing to go back to`, 'warning');
      return undefined;
    },
  };
};

const shape = ({ to }: Release): Omit<Stage, 'steps'> => ({
  id: 'cutover',
  title: 'Cutover',
  workMs: 5_000,
  observationMs: 0,
  verify: async (context) => otherThan(await situation(context), { live: to.colour, percent: 0 }),
});

/** Not waited for: the bake time begins at once, and waits for it at its end. */
const leaveLong = (release: Replacement): Step => ({
  says: endsLong(release, release.from.colour),
  do(context) {
    void endLong(context, release.from.colour, context.signal);
    return Promise.resolve();
  },
});

/** The stack's configuration names who is live. On a first go-live this is what opens the entry point. */
const recordLive = ({ environment, to }: Release, says: string): Step => ({
  says,
  do: (context) => context.up(environment, { kind: 'traffic', split: { live: to.colour, percent: 0 } }),
});

/** Takes writes and reads back to the old colour, with the writes made since: the same cutover the other way. */
async function rollBack(context: ReleaseContext, move: Move, why: Reason): Promise<string> {
  const started = performance.now();
  beginRollback(context, why);
  if (!why.automatic) await foretell(context, move);
  const moved = await persistently(context, () => goBack(context, move, why.acceptLoss === true));
  // Users have the old version by now. The signal has ended where somebody gave the release up: the way back goes on.
  const leaving = endLong(context, move.from);
  if ('kind' in moved) {
    const { ms, ...loss } = moved;
    const detail = `${move.to} is live again, and ${move.from} is left as it is`;
    const said = await endRollback(context, move.to, { ms, loss, detail });
    await leaving;
    return said;
  }
  const { holdMs, compared, tables } = moved;
  const ms = Math.round(performance.now() - started);
  const detail = `${move.to} is live again; writes were held for ${Math.round(holdMs)} ms`;
  // Users have the old version by now: this takes as long as it takes. Where it fails, taking the colour down tries it again.
  const kept = await context
    .act('keep-aside', `keep aside what only the version on ${move.from} knows`, () =>
      keepKnown(context, context.environment, { left: move.from, live: move.to }),
    )
    .catch((error: unknown) => {
      context.note(`what only the new version knows is not kept aside yet: ${messageOf(error)}`, 'warning');
      return undefined;
    });
  await tellLoosened(context, await sideOf(context, move.to), 'as rows may need it from now on');
  const loss: Loss = compared
    ? lossOf(tables, kept)
    : { kind: 'not-compared', because: 'a database broke off on the way back' };
  const said = await endRollback(context, move.to, { ms, loss, detail });
  await leaving;
  return said;
}

/** How long somebody who asked for a rollback waits to be told what it keeps aside, ms. */
const foretellMs = 1_000;

/** Says what is going to be kept aside, where that is found out in time: users have the version that is to be left. */
async function foretell(context: ReleaseContext, { from, to }: Move): Promise<void> {
  const count = async (): Promise<void> => {
    const kept = keptOf(await wouldKeep(await sideOf(context, from), await sideOf(context, to)));
    if (kept.tables.length + kept.columns.length > 0) context.note(`this will be ${keptWords(kept)}`);
  };
  await Promise.race([count().catch(() => undefined), sleep(foretellMs)]);
}

/** Retries a cutover back that was aborted and undone, e.g. while a server restarts: users have the bad version meanwhile. */
async function persistently<T>(context: ReleaseContext, move: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + backMs;
  for (;;) {
    try {
      return await move();
    } catch (error) {
      const again = error instanceof CutoverAborted && error.undone && !hasCode(error, 'lasting');
      if (!again || performance.now() > deadline) throw error;
      context.note(`the cutover back was aborted, and is tried again: ${error.message}`, 'warning');
      await sleep(backPauseMs, undefined, { signal: context.signal });
    }
  }
}
