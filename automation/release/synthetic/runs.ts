import { createReadStream, existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { replaceFileSync } from '../../../infra/lib/atomic-file.ts';
import type { CounterLedger } from '../../data/comparison/ledger.ts';
import { wasRefused, type Refusals } from './refusals.ts';

/**
 * The end of the traffic cancels requests, and k6 does not count those. One that had waited for so long already counts as failed,
 * milliseconds.
 */
const hungMs = 2_000;
/** What k6 may take of a run before the first request of the journey: its start and the script's set-up. Milliseconds. */
export const setUpMs = 30_000;
/** Failed requests that are named in the journal; all are counted. */
const namedFailures = 10;

/** What all runs of marked traffic of one release saw. */
export interface SyntheticRuns {
  count: number;
  /** `refused`: writes that were refused as announced, which are not among the failed ones. Absent: none. */
  requests: { total: number; failed: number; refused?: number };
  perSecond: number;
  /** The first failed requests. */
  failures: string[];
  /** Of the runs that this program began and ended: what was asked of k6, its set-up left out, and what it did. */
  load: { asked: LoadDone; done: LoadDone };
  /** Writes that the application acknowledged, and those whose end nobody knows. `keysOf` has their keys. */
  acknowledged: number;
  unknown: number;
  /** By name, the counters that those writes incremented. */
  counters: Record<string, CounterLedger>;
}

export interface LoadDone {
  seconds: number;
  requests: number;
}

/** What one run was asked for. `to` is missing where this program ended before it could end the run. Milliseconds since the epoch. */
export interface AskedRun {
  requestsPerSecond: number;
  from: number;
  to?: number;
}

const askedFile = (directory: string): string => join(directory, 'asked.json');

export const recordAsked = (directory: string, asked: AskedRun): void =>
  replaceFileSync(askedFile(directory), JSON.stringify(asked));

export const runDirectory = (evidence: string, run: number): string => join(evidence, `synthetic-${run}`);

/** What one run leaves: k6's summary, and what the script logged (the ledger, and failed requests). */
export const runFiles = (directory: string) => ({
  summaryFile: join(directory, 'summary.json'),
  consoleFile: join(directory, 'ledger.jsonl'),
});

/**
 * Whether the journey has begun: its first write is in the log, or what the journey of routes logs at its first request. The set-up
 * logs failed requests at most.
 */
export async function journeyHasBegun(directory: string): Promise<boolean> {
  const logged = await readFile(runFiles(directory).consoleFile, 'utf8').catch(() => '');
  return /^\{.*"(?:ledger|journey)"/m.test(logged);
}

/**
 * Adds all runs up. The last run must have left a summary: without one k6 was killed, and not all failed requests are known, which
 * counts as a failure. An earlier run may lack it: it ended with a release that was killed, and k6 gets several signals then.
 * Its log counts instead: every write and every failed request. Which of the failed requests were refused as announced, the log
 * alone tells: k6's summary counts them among the failed ones.
 */
export async function readRuns(evidence: string, refusals?: Refusals): Promise<SyntheticRuns> {
  const runs: SyntheticRuns = {
    count: 0,
    requests: { total: 0, failed: 0 },
    perSecond: 0,
    failures: [],
    load: { asked: { seconds: 0, requests: 0 }, done: { seconds: 0, requests: 0 } },
    acknowledged: 0,
    unknown: 0,
    counters: {},
  };
  let seconds = 0;
  let refused = 0;
  for (let run = 1; existsSync(runDirectory(evidence, run)); run += 1) {
    const { summaryFile, consoleFile } = runFiles(runDirectory(evidence, run));
    runs.count = run;
    const logged: Logged = { writes: 0, failed: 0, refused: 0 };
    if (existsSync(consoleFile)) {
      for await (const entry of entriesIn(consoleFile)) readEntry(entry, runs, logged, refusals);
    }
    refused += logged.refused;
    try {
      const { greenlight, state } = JSON.parse(await readFile(summaryFile, 'utf8')) as Summary;
      runs.requests.total += greenlight.requests;
      runs.requests.failed += Math.max(0, greenlight.failed - logged.refused);
      seconds += state.testRunDurationMs / 1000;
      addLoad(runs.load, await readAsked(runDirectory(evidence, run)), {
        seconds: greenlight.seconds ?? state.testRunDurationMs / 1000,
        requests: greenlight.requests,
      });
    } catch {
      if (existsSync(runDirectory(evidence, run + 1))) {
        runs.requests.total += logged.writes + logged.failed + logged.refused;
        runs.requests.failed += logged.failed;
        continue;
      }
      runs.requests.failed += 1;
      runs.failures.push(`run ${run} of the marked traffic left no summary: k6 was killed, or could not start`);
    }
  }
  if (refused > 0) runs.requests.refused = refused;
  runs.perSecond = runs.requests.total / Math.max(1, seconds);
  return runs;
}

async function readAsked(directory: string): Promise<AskedRun | undefined> {
  const text = await readFile(askedFile(directory), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as AskedRun);
}

function addLoad({ asked, done }: SyntheticRuns['load'], run: AskedRun | undefined, did: LoadDone): void {
  if (run?.to === undefined) return;
  const seconds = Math.max(0, run.to - run.from - setUpMs) / 1000;
  asked.seconds += seconds;
  asked.requests += seconds * run.requestsPerSecond;
  done.seconds += did.seconds;
  done.requests += did.requests;
}

function count(entry: Entry, name: string, counters: Record<string, CounterLedger>): void {
  const { ledger, from = 0 } = entry;
  const counter = (counters[name] ??= { from: Number(from), sent: 0, acknowledged: 0, unknown: 0 });
  if (ledger === 'sent') counter.sent += 1;
  if (ledger === 'ack') counter.acknowledged += 1;
  if (ledger === 'unknown') counter.unknown += 1;
}

interface Summary {
  greenlight: { requests: number; failed: number; seconds?: number };
  state: { testRunDurationMs: number };
}

/** What the log of one run has of requests: not those that only read, and were answered. */
interface Logged {
  writes: number;
  failed: number;
  /** Not among the failed ones. */
  refused: number;
}

/** Keys of the writes in the ledgers of all runs: of those that the application acknowledged, or whose end nobody knows. */
export async function* keysOf(evidence: string, ledger: 'ack' | 'unknown'): AsyncGenerator<string> {
  for (let run = 1; existsSync(runDirectory(evidence, run)); run += 1) {
    const { consoleFile } = runFiles(runDirectory(evidence, run));
    if (!existsSync(consoleFile)) continue;
    for await (const entry of entriesIn(consoleFile)) if (entry['ledger'] === ledger) yield String(entry['key']);
  }
}

/** What the script logged. Left out: what is no entry, and a line cut off. */
async function* entriesIn(file: string): AsyncGenerator<Entry> {
  for await (const line of createInterface({ input: createReadStream(file) })) {
    let entry: unknown;
    try {
      entry = JSON.parse(line);
    } catch {
      continue;
    }
    if (typeof entry === 'object' && entry !== null) yield entry as Entry;
  }
}

type Entry = Record<string, unknown>;

function readEntry(entry: Entry, runs: SyntheticRuns, logged: Logged, refusals: Refusals | undefined): void {
  if (typeof entry['counter'] === 'string') count(entry, entry['counter'], runs.counters);
  if (entry['ledger'] === 'ack') {
    logged.writes += 1;
    runs.acknowledged += 1;
  } else if (entry['ledger'] === 'unknown') runs.unknown += 1;
  else if (entry['request'] === 'failed') {
    if (refusals !== undefined && wasRefused(entry, refusals)) {
      logged.refused += 1;
      return;
    }
    if (String(entry['error']).includes('context canceled')) {
      if (!(Number(entry['ms']) >= hungMs)) return;
      runs.requests.total += 1;
      runs.requests.failed += 1;
    } else logged.failed += 1;
    if (runs.failures.length >= namedFailures) return;
    const at = new Date(Number(entry['at'])).toISOString();
    runs.failures.push(`${at} ${String(entry['method'])} ${String(entry['url'])}: ${String(entry['status'])}`);
  }
}
