import { cutover } from '../../automation/data/cutover/cutover.ts';
import type { Direction } from '../../automation/data/cutover/procedure.ts';
import { completeMove } from '../../automation/data/cutover/settle.ts';
import { caughtUpTo, flushed } from '../../automation/data/cutover/steps.ts';
import { close, connect } from '../../automation/data/connect.ts';
import { linkBetween, type Side } from '../../automation/data/link.ts';
import { prepareReverse, startHere } from '../../automation/data/replication/reverse.ts';
import { carryOver, planSequences } from '../../automation/data/replication/sequences.ts';
import { waitForSync } from '../../automation/data/replication/sync.ts';
import { grantWrites } from '../../infra/application/roles.ts';
import type { Router } from '../../infra/platform/router.ts';
import type { Figures } from './frame.ts';
import { clock } from './hold-books.ts';
import type { PgBouncer } from './pgbouncer.ts';

/** What a move of writes from one server to the other says of itself. Instants are those of `clock`. */
export interface Moved {
  began: number;
  /** From here writes were asked to wait, until they were released. */
  held: number;
  released: number;
  ended: number;
  /** The steps while they waited, ms. */
  steps: Figures;
}

export type Move = (from: Side, to: Side, direction: Direction) => Promise<Moved>;

/** As of the sample's release definition. */
const settings = { holdMs: 2000, drainMs: 1000 };
const replayMs = 30_000;

/** This project's cutover and failback, behind the balancer. */
export const byCutover =
  (router: Router): Move =>
  async (from, to, direction) => {
    const began = clock();
    let [held, released] = [NaN, NaN];
    const steps: Figures = {};
    const { equal, problems } = await cutover({
      ...{ router, from, to, direction, settings },
      onStep(step, ms) {
        if (step === 'prepare') held = clock();
        else if (Number.isNaN(released)) steps[step] = ms;
        if (step === 'release') released = clock();
      },
    });
    if (!equal || problems.length > 0) throw new Error(`the cutover went wrong: ${[...problems, equal].join('; ')}`);
    return { began, held, released, ended: clock(), steps };
  };

/**
 * The switch that is usual with PgBouncer: PAUSE waits for the transactions, the replica catches up, sequences are set, RELOAD takes
 * the other address, RESUME. What has to happen in the pause happens by this project's own functions: scripts poll, and are slower.
 */
export const byPause =
  (bouncer: PgBouncer): Move =>
  async (from, to, direction) => {
    const began = clock();
    const forward = linkBetween(from, to);
    await waitForSync(forward, { timeoutMs: replayMs });
    const sessions = { old: await connect(from.access, 'admin'), new: await connect(to.access, 'admin') };
    try {
      const reverse = direction === 'forward' ? await prepareReverse(from, to, sessions) : undefined;
      const sequences = await planSequences(sessions.old, sessions.new, to.colour);
      await sessions.new.query(grantWrites);
      await bouncer.aim(to.access);

      const steps: Figures = {};
      let last = clock();
      const held = last;
      const step = async (name: string, work: Promise<unknown>): Promise<void> => {
        await work;
        steps[name] = clock() - last;
        last = clock();
      };
      await step('PAUSE', bouncer.command('PAUSE app'));
      await step('replay', caughtUpTo(sessions, forward, performance.now() + replayMs));
      const carried = carryOver(sequences, sessions.old, sessions.new);
      // After them, as they are not flushed either.
      await step(
        'sequences',
        carried.then(() => flushed(sessions.new)),
      );
      if (reverse !== undefined) await step('way back', startHere(reverse, sessions));
      await step('RELOAD', bouncer.command('RELOAD'));
      await step('RESUME', bouncer.command('RESUME app'));
      await completeMove({ from, to, direction });
      return { began, held, released: last, ended: clock(), steps };
    } finally {
      await Promise.all([close(sessions.old), close(sessions.new)]);
    }
  };
