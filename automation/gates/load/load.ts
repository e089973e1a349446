import type { EntryPoint } from '../../../infra/platform/router.ts';
import type { Metrics } from '../../../infra/platform/metrics.ts';
import { check, type Gate, type Measurement } from '../../journal/verdict.ts';
import { pathsToLoad } from '../web/routes.ts';
import { runK6, type LoadNumbers } from './k6.ts';
import type { SegmentRunner } from './segments.ts';

/** Limits from `load` of the release definition. `errorRate` is a share, 0 to 1. */
export interface LoadThresholds {
  p95Ms: number;
  p99Ms?: number | undefined;
  errorRate: number;
}

export interface LoadGate {
  entry: EntryPoint;
  /** Absolute path of the k6 script. */
  script: string;
  /** What the journey of routes is to ask; those that answer are asked. Undefined: the script is the application's own. */
  paths?: readonly string[] | undefined;
  requestsPerSecond: number;
  durationSeconds: number;
  thresholds: LoadThresholds;
  /** For the header route; `{}` for ordinary traffic. */
  headers: Record<string, string>;
  metrics: Pick<Metrics, 'cpuSeconds'>;
  /** Number of k6 processes that share the load; default 1. */
  segments?: number;
  /** Where the segments run; default: as processes of this machine. */
  runner?: SegmentRunner;
  /** Default: the installed k6. */
  program?: string;
}

/** Sends the expected peak load, judges it by the thresholds, and names the part that used the most CPU time. */
export function loadGate(options: LoadGate): Gate {
  return {
    id: 'load',
    title: 'Load test',
    async measure({ evidence, signal }) {
      const { metrics, thresholds, requestsPerSecond, durationSeconds } = options;
      const { paths, leftOut, measurements } = await pathsThatAnswer(options);
      if (paths?.length === 0) return { measurements };
      const before = await metrics.cpuSeconds();
      const numbers = await runK6({
        ...options,
        paths,
        summaryFile: evidence.file('summary.json'),
        logFile: evidence.file('k6.log'),
        signal,
      });
      const cpu = cpuShares(before, await metrics.cpuSeconds());
      await evidence.write('cpu.json', JSON.stringify(cpu, undefined, 2));
      return {
        measurements: [
          ...measurements,
          ...judgeLoad(numbers, { requestsPerSecond, durationSeconds }, thresholds),
          judgeBottleneck(cpu),
        ],
        summary: {
          measured: `${numbers.requests} requests in ${seconds(numbers.seconds)}${ofSegments(numbers)}, p95 ${milliseconds(numbers.p95Ms)}, errors ${percent(numbers.errorRate)}${leftOut}`,
          wanted: `p95 <= ${thresholds.p95Ms} ms, errors <= ${percent(thresholds.errorRate)}`,
        },
        observationMs: durationSeconds * 1000,
      };
    },
  };
}

/** Of the paths that the journey of routes is to ask, those that answer now, with a measurement of them. `leftOut` ends a summary. */
export async function pathsThatAnswer({
  paths,
  entry,
  headers,
}: Pick<LoadGate, 'paths' | 'entry' | 'headers'>): Promise<{
  paths: string[] | undefined;
  leftOut: string;
  measurements: Measurement[];
}> {
  if (paths === undefined) return { paths, leftOut: '', measurements: [] };
  const { paths: answering, leftOut, measurement } = await pathsToLoad(entry, headers, paths);
  const told = `; GET ${answering.join(', ')}, as the definition has no script`;
  return {
    paths: answering,
    leftOut: leftOut === '' ? told : `${told}; left out: ${leftOut}`,
    measurements: [measurement],
  };
}

/** Smallest share of the planned requests and of the planned time at which a load counts as the planned one. */
const enough = 0.9;

/**
 * Judges one load against the load that was asked for. Inconclusive: a number is missing, the load was too short, or
 * requests are missing although no iteration was dropped. Fail: requests are missing because iterations were dropped.
 * Error: no request.
 */
export function judgeLoad(numbers: LoadNumbers, asked: Asked, thresholds: LoadThresholds): Measurement[] {
  const measurements = [judgeRequests(numbers, asked), judgeLength(numbers, asked)];
  if (numbers.requests === undefined || numbers.requests === 0) return measurements;
  const limit = (name: string, value: number | undefined, max: number, show: (n: number | undefined) => string) => {
    const wanted = `<= ${show(max)}`;
    if (value === undefined) {
      const note = "k6's summary does not have this number: check the script's handleSummary.";
      measurements.push({ name, measured: 'nothing', wanted, verdict: 'inconclusive', note });
    } else {
      measurements.push(check(name, wanted, show(value), value <= max));
    }
  };
  limit('p95 response time', numbers.p95Ms, thresholds.p95Ms, milliseconds);
  if (thresholds.p99Ms !== undefined) limit('p99 response time', numbers.p99Ms, thresholds.p99Ms, milliseconds);
  limit('error rate', numbers.errorRate, thresholds.errorRate, percent);
  if (numbers.checkRate !== undefined)
    limit('checks of the script that failed', 1 - numbers.checkRate, thresholds.errorRate, percent);
  measurements.push(
    check(
      "the script's own thresholds",
      'held (exit code 0)',
      numbers.exitCode === 0 ? 'held' : `crossed (exit code ${numbers.exitCode})`,
      numbers.exitCode === 0,
      "k6's log among the evidence names the thresholds.",
    ),
  );
  return measurements;
}

/** The load that was asked for. */
export type Asked = Pick<LoadGate, 'requestsPerSecond' | 'durationSeconds'>;

function judgeRequests(numbers: LoadNumbers, { requestsPerSecond, durationSeconds }: Asked): Measurement {
  const planned = requestsPerSecond * durationSeconds;
  const { requests, droppedIterations } = numbers;
  const least = Math.ceil(planned * enough);
  const base = {
    name: 'requests sent',
    measured: `${requests ?? 'none recorded'}${ofSegments(numbers)}`,
    wanted: `>= ${least} (90 % of ${planned})`,
  };
  if (requests === undefined || requests === 0) {
    return {
      ...base,
      verdict: 'error',
      note: 'k6 sent no request: check that the script uses RATE, DURATION and BASE_URL.',
    };
  }
  if (requests >= least) return { ...base, verdict: 'pass' };
  const measured = `${base.measured}, ${droppedIterations} iterations dropped`;
  return droppedIterations > 0
    ? {
        ...base,
        measured,
        verdict: 'fail',
        note: 'Answers took so long that k6 could not send the remaining requests in time.',
      }
    : {
        ...base,
        measured,
        verdict: 'inconclusive',
        note: 'The script sent less than asked for, and not because of slow answers: check that it uses RATE and DURATION.',
      };
}

/** All planned requests sent within a few seconds would not be the planned load, so its duration is judged too. */
function judgeLength(numbers: LoadNumbers, { durationSeconds }: Asked): Measurement {
  const least = durationSeconds * enough;
  const base = {
    name: 'length of the load',
    measured: seconds(numbers.seconds),
    wanted: `>= ${seconds(least)} (90 % of ${durationSeconds} s)`,
  };
  if (numbers.seconds !== undefined && numbers.seconds >= least) return { ...base, verdict: 'pass' };
  const note =
    numbers.seconds === undefined
      ? "k6's summary does not say: let the script's handleSummary write all of its data."
      : 'k6 ended early: check that the script uses DURATION, and see its log.';
  return { ...base, verdict: 'inconclusive', note };
}

/**
 * CPU seconds that each part used between two readings, largest first. After a restart a part's counter begins at 0.
 */
export function cpuShares(
  before: Record<string, number>,
  after: Record<string, number>,
): { part: string; seconds: number; share: number }[] {
  const used = Object.entries(after).map(([part, now]) => {
    const then = before[part] ?? 0;
    return { part, seconds: now >= then ? now - then : now };
  });
  const total = used.reduce((sum, { seconds }) => sum + seconds, 0);
  return used.map((u) => ({ ...u, share: total > 0 ? u.seconds / total : 0 })).sort((a, b) => b.seconds - a.seconds);
}

/** Names the part that used the most CPU time. Never `fail`; inconclusive if no CPU time is known. */
export function judgeBottleneck(cpu: { part: string; seconds: number; share: number }[]): Measurement {
  const [largest] = cpu;
  const base = { name: 'bottleneck', wanted: 'known' };
  if (largest === undefined || largest.seconds <= 0) {
    return {
      ...base,
      measured: 'unknown',
      verdict: 'inconclusive',
      note: 'No CPU time was recorded for any part: check the metrics.',
    };
  }
  const measured = `${largest.part}: ${percent(largest.share)} of the CPU time used (${largest.seconds.toFixed(1)} s)`;
  return { ...base, measured, verdict: 'pass' };
}

/** Text for the report; empty if the load was not divided. */
export const ofSegments = (numbers: LoadNumbers | undefined): string =>
  numbers?.segments === undefined ? '' : ` from ${numbers.segments} segments`;
export const milliseconds = (n: number | undefined): string =>
  n === undefined ? 'unknown' : `${n < 10 ? n.toFixed(1) : Math.round(n)} ms`;
export const seconds = (n: number | undefined): string => (n === undefined ? 'unknown' : `${Number(n.toFixed(1))} s`);
export const percent = (share: number | undefined): string =>
  share === undefined ? 'unknown' : `${Number((share * 100).toFixed(2))} %`;
