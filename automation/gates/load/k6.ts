import { readFile, rm, writeFile } from 'node:fs/promises';
import { greenlight } from '../../../infra/lib/command.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import type { EntryPoint } from '../../../infra/platform/router.ts';
import { secrets } from '../../../infra/lib/redact.ts';
import { processSegments, type SegmentJob, type SegmentRunner } from './segments.ts';
import { mergeSummaries, readSegmentSummary, readSummary, type LoadNumbers } from './segments-summary.ts';

export { k6Command, type K6Command } from './k6-command.ts';
export type { LoadNumbers } from './segments-summary.ts';

export interface K6Run {
  script: string;
  paths?: readonly string[] | undefined;
  entry: Pick<EntryPoint, 'baseUrl' | 'caFile'>;
  requestsPerSecond: number;
  durationSeconds: number;
  headers: Record<string, string>;
  /** Absolute path. With several segments this is the merged summary; each segment also has its own summary and log. */
  summaryFile: string;
  /** Absolute path. */
  logFile: string;
  signal: AbortSignal;
  /** Number of k6 processes that share the load; default 1. */
  segments?: number | undefined;
  /** Where the segments run; default: as processes of this machine. */
  runner?: SegmentRunner | undefined;
  /** Default: the installed k6. */
  program?: string;
}

/** Seconds that k6 may run longer than the load: start, set-up, last answers, summary. */
const graceSeconds = 60;

/** k6's exit code for crossed thresholds (k6 source, `errext/exitcodes`). Every other code except 0 is a failed run. */
const thresholdsCrossed = 99;

/**
 * Runs one load. Throws an OperationError if k6 is killed, fails or leaves no readable summary. The first segment that
 * fails stops the others, because the rest would not be the load that was asked for.
 */
export async function runK6(run: K6Run): Promise<LoadNumbers> {
  for (const value of Object.values(run.headers)) secrets.register(value);
  const runner = run.runner ?? processSegments(run.program === undefined ? {} : { program: run.program });
  const failed = new AbortController();
  const jobs = segmentJobs(run, runner, AbortSignal.any([run.signal, failed.signal]));
  const errors: unknown[] = [];
  const ended = await Promise.all(
    jobs.map(async (job) => {
      try {
        return await runSegment(job, runner, run.signal);
      } catch (error) {
        errors.push(error);
        failed.abort();
        return undefined;
      }
    }),
  );
  const parts = ended.filter((part) => part !== undefined);
  if (errors.length > 0) throw errors[0];
  const doing = `load of ${run.requestsPerSecond} requests/s`;
  const exitCode = Math.max(...parts.map((part) => part.exitCode));
  const segments = parts.flatMap(({ segment }) => segment ?? []);
  if (jobs.length === 1) return { ...readSummary(parts[0]?.text ?? '', doing), exitCode };
  const merged = JSON.stringify(mergeSummaries(segments, jobs.length, doing), undefined, 1);
  await writeFile(run.summaryFile, merged, { mode: 0o600 });
  return { ...readSummary(merged, doing), exitCode, segments: jobs.length };
}

/** One job per segment. All have the same start time. */
function segmentJobs(run: K6Run, runner: SegmentRunner, signal: AbortSignal): SegmentJob[] {
  const count = run.segments ?? 1;
  const leadMs = count === 1 ? 0 : runner.leadMs(count);
  const startAt = Date.now() + leadMs;
  return Array.from({ length: count }, (_, index) => {
    const own = (file: string) => (count === 1 ? file : file.replace(/(\.[^./]*)?$/, `-${index + 1}-of-${count}$1`));
    return {
      name: count === 1 ? 'k6' : `segment ${index + 1} of ${count}`,
      command: {
        script: run.script,
        paths: run.paths,
        baseUrl: run.entry.baseUrl,
        caFile: run.entry.caFile,
        rate: run.requestsPerSecond,
        durationSeconds: run.durationSeconds,
        routeHeaders: run.headers,
        summaryFile: own(run.summaryFile),
        ...(count === 1 ? {} : { segment: { index, count, startAt } }),
      },
      logFile: own(run.logFile),
      timeoutMs: leadMs + (run.durationSeconds + graceSeconds) * 1000,
      signal,
    };
  });
}

/** Runs one segment. Resolves to its summary and exit code (0 or 99); throws an OperationError for any other end. */
async function runSegment(job: SegmentJob, runner: SegmentRunner, stop: AbortSignal) {
  const { name, command, logFile } = job;
  const doing = `load of ${command.rate} requests/s${command.segment === undefined ? '' : `, ${name}`}`;
  await rm(command.summaryFile, { force: true });
  const { exitCode, end, detail } = await runner.run(job);
  if (end === 'stopped' || stop.aborted)
    throw new OperationError(doing, 'it was stopped', `run: ${greenlight('resume')}`);
  if (end === 'timeout')
    throw new OperationError(doing, `k6 was still running ${graceSeconds} s after its end`, `see ${logFile}`);
  if (exitCode === undefined) {
    throw new OperationError(
      doing,
      `k6 was killed (${detail})`,
      'check the memory of the machine, then run the release again',
    );
  }
  if (exitCode !== 0 && exitCode !== thresholdsCrossed)
    throw new OperationError(doing, `k6 failed with exit code ${exitCode}: ${detail}`, `see ${logFile}`);
  const text = await readFile(command.summaryFile, 'utf8').catch(() => '');
  // Read when this segment ends: if its summary is unusable, the other segments are stopped.
  const segment = command.segment === undefined ? undefined : readSegmentSummary(text, doing);
  return { text, segment, exitCode };
}
