import { messageOf, OperationError } from '../../../../infra/lib/errors.ts';
import type { Colour, EnvironmentSpec } from '../../../../infra/model.ts';
import type { Environment } from '../../../../infra/platform/environment.ts';
import { CutoverAborted } from '../../../data/cutover/cutover.ts';
import { formatDuration } from '../../../journal/format.ts';
import type { ReleaseContext } from '../../context/context.ts';

/** A worker that has failed so often on the new colour is a reason to go back. */
const mostFailures = 3;
/** Looks in a row at which a guard may not answer: the supervisor starts one that was killed again. */
const mostSilent = 10;

/** Ids of the workers and schedules that a colour has. */
const expected = ({ workers = [], schedules = [] }: EnvironmentSpec, colour: Colour): string[] => [
  ...workers.flatMap(({ name, instances }) =>
    Array.from({ length: instances }, (_, index) => `${name}.${colour}.${index + 1}`),
  ),
  ...schedules.map(({ name }) => `${name}.${colour}.1`),
];

/**
 * Moves the writes while no worker runs: those of the old colour have ended before `move` begins, and when it has ended those of the
 * live colour run, whoever that is then. Where nobody knows who is live, none runs until that is settled. `insist`: a guard that does
 * not answer is ended; otherwise it is a reason not to move.
 */
export async function whileWorkersPause<T>(
  context: ReleaseContext,
  { insist = false },
  move: () => Promise<T>,
): Promise<T> {
  const { workers } = await context.connect();
  if (workers === undefined) return move();
  const started = performance.now();
  let some = false;
  const follow = async (): Promise<void> => {
    // Who has the environment now settles this.
    if (context.hasLock?.() === false) return;
    await followLive(await context.connect());
    if (some) context.note(`workers paused for ${formatDuration(performance.now() - started)}`);
  };
  let moved: T;
  try {
    const { ended, killed } = await workers.pause({ insist, signal: insist ? undefined : context.signal });
    some = ended.length > 0;
    if (killed.length > 0)
      context.note(`these workers did not end in their time, and were killed: ${killed.join(', ')}`, 'warning');
    moved = await move();
  } catch (error) {
    const unsettled = error instanceof CutoverAborted && !error.undone;
    if (!unsettled)
      await follow().catch((problem: unknown) =>
        context.note(`the workers do not run yet: ${messageOf(problem)}`, 'warning'),
      );
    throw error;
  }
  await follow();
  return moved;
}

/** Lets the workers of the colour run that the balancer says is live, and no others. None where nobody is. */
export async function followLive({ workers, router }: Pick<Environment, 'workers' | 'router'>): Promise<void> {
  if (workers === undefined) return;
  const live = (await router.read()).split?.live;
  if (live !== undefined) await workers.run(live);
}

/** Ready before live: rejects unless every worker and schedule of `colour` has a guard that waits for its turn. */
export async function requireGuards(context: ReleaseContext, colour: Colour): Promise<void> {
  const { workers } = await context.connect();
  const wanted = expected(context.spec(), colour);
  if (workers === undefined || wanted.length === 0) return;
  const { all } = await workers.states();
  const ready = new Set(all.filter(({ ready, state }) => ready && state === 'idle').map(({ id }) => id));
  const missing = wanted.filter((id) => !ready.has(id));
  if (missing.length === 0) return;
  throw new OperationError(
    `looking for the workers of ${colour}`,
    `no guard waits to start ${missing.join(', ')}`,
    'look at their logs in the environment’s directory; npm run status names what does not run',
  );
}

/** Watches the workers of the live colour: resolves, at each call, to why the version has to go, or to undefined. */
export async function workerWatch(context: ReleaseContext, colour: Colour): Promise<() => Promise<string | undefined>> {
  const { workers } = await context.connect();
  const wanted = expected(context.spec(), colour);
  if (workers === undefined || wanted.length === 0) return () => Promise.resolve(undefined);
  const silent = new Map<string, number>();
  return async () => {
    const { all } = await workers.states();
    for (const id of wanted) {
      const one = all.find((state) => state.id === id);
      if (one?.kind === 'worker' && one.failures >= mostFailures)
        return `the worker ${id} has failed ${one.failures} times`;
      const looks = one?.ready === true ? 0 : (silent.get(id) ?? 0) + 1;
      silent.set(id, looks);
      if (looks >= mostSilent) return `${id} is not guarded, and so does not run`;
    }
    return undefined;
  };
}
