import { cutover as moveWrites, type CutoverSide } from '../../data/cutover.ts';
import { grantWrites } from '../../../infra/roles.ts';
import type { Colour } from '../../../infra/model.ts';
import { withClient } from '../../data/connect.ts';
import type { ReleaseContext } from '../context.ts';
import { keepTrafficUp } from '../synthetic.ts';
import { StageStopped, type Stage } from '../stage.ts';

/** Writes move to the new colour, and all reads with them; the other direction is replicated from then on. */
export const cutover: Stage = {
  id: 'cutover',
  title: 'Cutover',

  plan: ({ kind, definition, from, to }) => ({
    steps:
      kind === 'go-live'
        ? [`open the entry point to ${to.colour}`]
        : [
            `hold writes (at most ${definition.cutover.holdMs} ms), drain and fence ${from?.colour}`,
            `wait until ${to.colour} has replayed everything, set sequences`,
            `flip reads and writes to ${to.colour}, let the held writes go, replicate back to ${from?.colour}`,
            'compare the contents of both databases at that instant',
          ],
    workMs: 5_000,
    observationMs: 0,
  }),

  async apply(context) {
    if (context.from === undefined) await open(context);
    else {
      await keepTrafficUp(context);
      await move(context, context.from.colour, context.to.colour, 'forward');
    }
    await context.up(context.environment, { kind: 'traffic', split: { live: context.to.colour, percent: 0 } });
  },

  async verify({ to, connect }) {
    const { split } = await (await connect()).router.read();
    return split?.live === to.colour && split.percent === 0 ? undefined : `the balancer says ${JSON.stringify(split)}`;
  },

  async undo(context) {
    if (context.from === undefined) return undefined;
    const { router } = await context.connect();
    const { split } = await router.read();
    if (split?.live !== context.to.colour) return undefined;
    return rollBack(context, context.to.colour, context.from.colour);
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

/** Takes writes and reads back to the old colour, with every write made since: the same cutover the other way. */
export async function rollBack(context: ReleaseContext, from: Colour, to: Colour): Promise<string> {
  const { journal } = context;
  const started = performance.now();
  journal.append({ type: 'rollback.started', reason: context.stopReason, automatic: context.stopAutomatic });
  const moved = await move(context, from, to, 'rollback');
  await context.up(context.environment, { kind: 'traffic', split: { live: to, percent: 0 } });
  const ms = Math.round(performance.now() - started);
  const detail = `${to} is live again with all writes made on ${from}; writes were held for ${Math.round(moved.holdMs)} ms`;
  journal.append({ type: 'rollback.done', ms, lossless: moved.equal, detail });
  return detail;
}

async function move(context: ReleaseContext, from: Colour, to: Colour, direction: 'forward' | 'rollback') {
  const { journal, definition } = context;
  const { router, databases } = await context.connect();
  const side = async (colour: Colour): Promise<CutoverSide> => ({ colour, access: await databases.of(colour) });
  const done = await context.act(direction, `move writes from ${from} to ${to}`, async () =>
    moveWrites({
      router,
      from: await side(from),
      to: await side(to),
      direction,
      settings: definition.cutover,
      onStep: (step, ms, detail) => journal.append({ type: 'cutover.step', step, ms, ...(detail === undefined ? {} : { detail }) }),
      signal: direction === 'forward' ? context.signal : undefined,
    }),
  );
  journal.append({ type: 'traffic.set', split: { live: to, percent: 0 }, by: 'balancer', ms: Math.round(done.holdMs) });
  journal.append({ type: 'cutover.done', direction, from, to, holdMs: done.holdMs, totalMs: done.totalMs });
  const compared = await done.compare();
  journal.append({ type: 'data.compared', at: direction === 'forward' ? 'cutover' : 'rollback', ...compared });
  const different = compared.tables.filter((table) => !table.equal);
  const equal = compared.tables.length > 0 && different.length === 0;
  if (direction === 'forward' && !equal) {
    const what = different.map(({ table, detail }) => `${table}: ${detail ?? 'differs'}`).join('; ');
    throw new StageStopped('rolled-back', `the databases differ at the cutover: ${what || 'nothing was compared'}`);
  }
  return { holdMs: done.holdMs, equal };
}

