import type { Artefact } from '../../../../infra/model.ts';
import type { DatabaseAccess } from '../../../../infra/platform/databases.ts';
import { changesBy } from '../../../data/effects/changes.ts';
import {
  expectedMsOf,
  readOnlyWindowGate,
  readOnlyWindowTitle,
  type WindowFacts,
  type WindowTimes,
} from '../../../gates/data/window.ts';
import { allOf, lastOf } from '../../../journal/entries.ts';
import type { JournalEntry } from '../../../journal/events.ts';
import { readOnlyWindowGateId } from '../../../journal/migration-risks.ts';
import type { ReleaseContext } from '../../context/context.ts';
import type { Step } from '../../context/stage.ts';
import { migrate, pendingOf } from './migrate.ts';
import { observe } from './observe-migrations.ts';
import { acceptedOn, copyOf, look, serving, type Copy } from './on-the-copy.ts';

/** What the read-only window does to the database, on the copy: with the time that it takes, and with the evidence for the window. */
export const rehearsingWindow = (
  old: Artefact,
  { longestMs }: { longestMs: number },
  when: NonNullable<Step['when']>,
): Step<DatabaseAccess> => ({
  says: `run the incompatible migrations there, start the new version, and see that it all fits into ${longestMs / 1000} s without writes`,
  gates: { [readOnlyWindowGateId]: readOnlyWindowTitle },
  when,
  async do(context, access) {
    const copy = await copyOf(context, access);
    await context.gates([
      readOnlyWindowGate({ rehearse: () => rehearse(context, copy, old), longestMs, accept: acceptedOn(context) }),
    ]);
  },
});

/** Whether the incompatible migrations have run there, and the new version has started: else there is nothing more to try. */
export const windowRehearsed = (entries: readonly JournalEntry[]): boolean => {
  const verdict = allOf(entries, 'gate.judged').findLast(({ gate }) => gate.id === readOnlyWindowGateId)?.gate.verdict;
  return verdict !== undefined && verdict !== 'error';
};

async function rehearse(context: ReleaseContext, copy: Copy, old: Artefact): Promise<WindowFacts> {
  const { access, environment } = copy;
  const { jobs } = environment;
  const artefact = context.artefact();
  const expected = await pendingOf(context, 'incompatible', access, artefact);
  let applied: WindowFacts['applied'] = [];
  const { result, seen } = await observe(context, { phase: 'incompatible', access, jobs, old }, () =>
    timed(() =>
      changesBy(access, async () => {
        applied = await migrate(context, 'incompatible', { access, artefact, where: 'scratch', jobs });
      }),
    ),
  );
  const looked = await timed(() => look(context, access));
  const started = performance.now();
  const startMs = await serving(context, copy, artefact, readOnlyWindowGateId, () =>
    Promise.resolve(Math.round(performance.now() - started)),
  );
  const compareMs = lastOf(context.journal.entries(), 'backup.restored')?.compareMs;
  const times: WindowTimes = {
    compare: compareMs,
    migrations: result.ms,
    start: startMs,
    invariants: looked.ms,
    hold: context.definition.cutover.holdMs,
  };
  const expectedMs = expectedMsOf(times);
  context.journal.append({
    type: 'window.rehearsed',
    ms: result.ms,
    startMs,
    ...(compareMs === undefined ? {} : { compareMs }),
    ...(expectedMs === undefined ? {} : { expectedMs }),
    ...result.value,
  });
  return { expected, applied, ...looked.value, seen, times };
}

async function timed<T>(work: () => Promise<T>): Promise<{ value: T; ms: number }> {
  const started = performance.now();
  const value = await work();
  return { value, ms: Math.round(performance.now() - started) };
}
