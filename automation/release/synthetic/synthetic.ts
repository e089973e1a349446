import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { greenlight } from '../../../infra/lib/command.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { checkCounters, checkLedger } from '../../data/comparison/ledger.ts';
import type { EntryPoint } from '../../../infra/platform/router.ts';
import type { Journey } from '../../gates/load/k6-command.ts';
import { pathsToLoad } from '../../gates/web/routes.ts';
import { journeyOf } from '../context/journey-of.ts';
import { writesGate } from '../../gates/data/writes.ts';
import { lastOf } from '../../journal/entries.ts';
import { refusedWindows } from '../../journal/refused.ts';
import type { ReleaseContext } from '../context/context.ts';
import { situation } from '../context/situation.ts';
import type { WriteLedger } from '../../journal/events.ts';
import { startJourney } from './journey.ts';
import type { Refusals } from './refusals.ts';
import { startRecorder } from './recorder.ts';
import { keysOf, readRuns, runDirectory, type SyntheticRuns } from './runs.ts';

/**
 * Starts marked traffic through the real entry point, and the record of what the balancer sees; does nothing if it
 * runs already. It gives a release on a machine without users something to keep whole, and a ledger of every
 * acknowledged write. Resolves once the journey has begun, so that a canary or a bake time has requests from its start
 * on. With a rate of 0 real users give the traffic, and only the record is kept. Rejects with an OperationError where k6
 * ends before the journey begins.
 */
export const keepTrafficUp = (context: ReleaseContext): Promise<void> =>
  context.traffic.start(async () => {
    const { router, metrics } = await context.connect();
    const { requestsPerSecond } = context.definition.synthetic;
    // Before anything runs that would have to be stopped: it may find that nothing can be asked.
    const what = requestsPerSecond === 0 ? undefined : await readable(context, router.entry);
    const recorder = startRecorder({ router, metrics }, context.journal);
    const journey =
      what === undefined
        ? undefined
        : startJourney({
            ...what,
            requestsPerSecond,
            entry: router.entry,
            directory: freshDirectory(context),
          });
    const stop = async () => {
      await Promise.all([journey?.stop(), recorder.stop()]);
    };
    try {
      await journey?.begun(context.signal);
    } catch (error) {
      await stop();
      throw error;
    }
    return { stop };
  });

/** What marked traffic runs. Of paths, those that answer now: rejects with an OperationError where none does. */
async function readable(context: ReleaseContext, entry: EntryPoint): Promise<Journey> {
  const journey = journeyOf(context.definition, context.definition.synthetic.script);
  if (journey.paths === undefined) return journey;
  const { paths, leftOut } = await pathsToLoad(entry, {}, journey.paths);
  if (paths.length === 0)
    throw new OperationError(
      'starting the marked traffic',
      `no path answers GET below 400: ${leftOut}`,
      'give load.paths or synthetic.script, or set synthetic.requestsPerSecond to 0 where real users give the traffic',
    );
  context.note(
    `marked traffic asks ${paths.join(', ')} by GET, and writes nothing, as the definition has no script${leftOut === '' ? '' : `; left out: ${leftOut}`}`,
  );
  return { ...journey, paths };
}

/**
 * Ends the marked traffic and looks for every write of its ledgers in the database that is live now: an acknowledged
 * write must be there exactly once. The ledgers of interrupted runs of this release count too. The gate fails if a
 * write is missing or double, or if any request failed: a write that a read-only window refused did not. Traffic
 * that only read has no ledger. Does nothing where there was no traffic since the last time.
 */
export async function endSynthetic(context: ReleaseContext): Promise<void> {
  const { journal } = context;
  await context.traffic.stop();
  const runs = await readRuns(evidenceOf(context), refusalsOf(context));
  const settled = lastOf(journal.entries(), 'synthetic.ended');
  if (runs.count === 0 || settled?.runs === runs.count) return;
  const { acknowledged: _acknowledged, unknown: _unknown, counters: _counters, count, load, ...seen } = runs;
  const writes = await settleLedger(context, runs);
  journal.append({ type: 'synthetic.ended', ...seen, runs: count, writes });
  await context.gates([writesGate({ requests: seen.requests, writes, failures: seen.failures, load })]);
}

/** Undefined where the release refused no writes. */
function refusalsOf({ journal, spec }: ReleaseContext): Refusals | undefined {
  const windows = refusedWindows(journal.entries());
  return windows.length === 0 ? undefined : { windows, writes: spec().writes };
}

async function settleLedger(
  context: ReleaseContext,
  { acknowledged, unknown, counters }: SyntheticRuns,
): Promise<WriteLedger | undefined> {
  const { ledger } = context.definition.data;
  if (ledger === undefined && acknowledged + unknown === 0) return undefined;
  const { live } = await situation(context);
  if (ledger === undefined || live === undefined) {
    throw new OperationError(
      'looking for the acknowledged writes',
      ledger === undefined ? 'the release definition has no data.ledger' : 'nothing is live',
      `see data.ledger in the release definition, and: ${greenlight('status')}`,
    );
  }
  const access = await (await context.connect()).databases.of(live);
  const known = await checkLedger(access, ledger.sql, keysOf(evidenceOf(context), 'ack'));
  const open = await checkLedger(access, ledger.sql, keysOf(evidenceOf(context), 'unknown'));
  const increments = await settleCounters(access, ledger.counters, counters);
  return {
    acknowledged,
    unknown,
    // The same write may be missed by its key and by its increment.
    lost: Math.max(known.lost.length, increments.incrementsLost ?? 0),
    duplicated: Math.max(known.duplicated.length + open.duplicated.length, increments.incrementsDoubled ?? 0),
    ...increments,
  };
}

/** Increments count where the traffic names counters, or the definition says how to find some: nothing of both may pass for checked. */
async function settleCounters(
  access: DatabaseAccess,
  sql: string | undefined,
  counters: SyntheticRuns['counters'],
): Promise<Partial<WriteLedger>> {
  if (sql === undefined && Object.keys(counters).length === 0) return {};
  const increments = Object.values(counters).reduce((sum, { acknowledged }) => sum + acknowledged, 0);
  if (sql === undefined) return { increments };
  const { lost, doubled } = await checkCounters(access, sql, counters);
  return { increments, incrementsLost: lost, incrementsDoubled: doubled };
}

/** Each run of the traffic keeps its own files: a resumed release does not write over what an interrupted one saw. */
function freshDirectory(context: ReleaseContext): string {
  const evidence = evidenceOf(context);
  for (let run = 1; ; run += 1) {
    const directory = runDirectory(evidence, run);
    if (existsSync(directory)) continue;
    mkdirSync(directory, { recursive: true });
    return directory;
  }
}

const evidenceOf = ({ directory }: ReleaseContext): string => join(directory, 'evidence');
