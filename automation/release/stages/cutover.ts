import { setTimeout as sleep } from 'node:timers/promises';
import { grantWrites } from '../../../infra/application/roles.ts';
import { CutoverAborted } from '../../data/cutover/cutover.ts';
import { withClient } from '../../data/connect.ts';
import type { ReleaseContext } from '../context/context.ts';
import { lossOf, type Loss } from '../../journal/loss.ts';
import { compareMoved, moveWrites, type Move } from '../steps/traffic/move-writes.ts';
import type { Stage } from '../context/stage.ts';
import { keepTrafficUp } from '../synthetic/synthetic.ts';
import { beginRollback, endRollback } from '../steps/traffic/roll-back.ts';

/** How long a cutover back is tried again, and the pause before the next try, ms. */
const backMs = 60_000;
const backPauseMs = 2_000;

/** Writes move to the new colour, and all reads with them; the other direction is replicated from then on. */
export const cutover: Stage = {
  id: 'cutover',
  title: 'Cutover',

  plan: ({ kind, definition, from, to }) => ({
    steps:
      kind === 'go-live'
        ? [`open the entry point to ${to.colour}`]
        : [
            definition.platform === 'aws'
              ? `answer writes by 503 with Retry-After (at most ${definition.cutover.holdMs} ms, and until the balancer is seen to follow), drain and fence ${from?.colour}`
              : `hold writes (at most ${definition.cutover.holdMs} ms), drain and fence ${from?.colour}`,
            `wait until ${to.colour} has replayed everything, set sequences`,
            `flip reads and writes to ${to.colour}, let writes go, replicate back to ${from?.colour}`,
            'compare the contents of both databases at that instant',
          ],
    ...(kind === 'go-live'
      ? {}
      : { gates: { 'data-comparison': 'Both databases equal at the instant of the cutover' } }),
    workMs: 5_000,
    observationMs: 0,
  }),

  async apply(context) {
    const { from, to, environment } = context;
    if (from === undefined) await open(context);
    else {
      await keepTrafficUp(context);
      const { split } = await (await context.connect()).router.read();
      // An interrupted cutover that had flipped was finished by `resume`: what is left is to prove it.
      if (split?.live === to.colour) await compareMoved(context, from.colour, to.colour);
      else await moveWrites(context, { from: from.colour, to: to.colour, direction: 'forward' });
    }
    await context.up(environment, { kind: 'traffic', split: { live: to.colour, percent: 0 } });
  },

  async verify(context) {
    const { split } = await (await context.connect()).router.read();
    return split?.live === context.to.colour && split.percent === 0
      ? undefined
      : `the balancer says ${JSON.stringify(split)}`;
  },

  async undo(context) {
    const { from, to } = context;
    const { split } = await (await context.connect()).router.read();
    if (split?.live !== to.colour) return undefined;
    if (from === undefined) {
      context.note(`${to.version} stays live: on a first go-live there is nothing to go back to`, 'warning');
      return undefined;
    }
    return rollBack(context, { from: to.colour, to: from.colour, direction: 'rollback' });
  },
};

/** First go-live: nothing to move from. The new colour may write, then the entry point opens. */
async function open(context: ReleaseContext): Promise<void> {
  const access = await (await context.connect()).databases.of(context.to.colour);
  await context.act('grant-writes', `let ${context.to.colour} write`, () =>
    withClient(access, 'admin', async (client) => {
      await client.query(grantWrites);
    }),
  );
}

/** Takes writes and reads back to the old colour, with the writes made since: the same cutover the other way. */
async function rollBack(context: ReleaseContext, move: Move): Promise<string> {
  const started = performance.now();
  beginRollback(context);
  const { holdMs, compared, tables } = await persistently(context, () => moveWrites(context, move));
  const ms = Math.round(performance.now() - started);
  const detail = `${move.to} is live again; writes were held for ${Math.round(holdMs)} ms`;
  const loss: Loss = compared
    ? lossOf(tables)
    : { kind: 'not-compared', because: 'a database broke off on the way back' };
  return endRollback(context, move.to, { ms, loss, detail });
}

/** A cutover back that was aborted for what may pass (a server that starts again) is tried again: users have the bad version. */
async function persistently<T>(context: ReleaseContext, move: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + backMs;
  for (;;) {
    try {
      return await move();
    } catch (error) {
      if (!(error instanceof CutoverAborted && error.undone) || performance.now() > deadline) throw error;
      context.note(`the way back was aborted, and is tried again: ${error.message}`, 'warning');
      await sleep(backPauseMs, undefined, { signal: context.signal });
    }
  }
}
