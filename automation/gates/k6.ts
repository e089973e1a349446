import { readFile, rm } from 'node:fs/promises';
import { execa } from 'execa';
import { OperationError } from '../../infra/errors.ts';
import type { EntryPoint } from '../../infra/platform.ts';
import { toolPath } from '../../infra/tools.ts';
import { secrets } from '../release/redact.ts';

/** One run of k6 as data: what to call, and with which environment. */
export interface K6Command {
  /** Absolute path of the k6 script: reads BASE_URL, RATE, DURATION, ROUTE_HEADERS, writes its summary (JSON) to SUMMARY. */
  script: string;
  baseUrl: string;
  caFile: string | undefined;
  /** Requests per second. */
  rate: number;
  durationSeconds: number;
  /** Sent with every request. Their values are secrets. */
  routeHeaders: Record<string, string>;
  summaryFile: string;
  /** Where lines that the script logs go; undefined: to k6's own output. */
  consoleFile?: string;
}

/** The arguments and the environment of one run of k6. Pure. */
export function k6Command(run: K6Command): { argv: string[]; env: Record<string, string> } {
  const trend = ['--summary-trend-stats', 'avg,med,p(90),p(95),p(99),max,count'];
  // Raw: what the script logged and nothing else; k6's own format would wrap the ledger's lines.
  const log = run.consoleFile === undefined ? [] : ['--log-format', 'raw', '--console-output', run.consoleFile];
  return {
    argv: ['k6', 'run', '--quiet', '--no-color', '--no-usage-report', ...trend, ...log, run.script],
    // The headers hold a secret, and arguments can be seen by everybody on the machine: so the environment it is.
    env: {
      BASE_URL: run.baseUrl,
      RATE: String(run.rate),
      DURATION: String(run.durationSeconds),
      ROUTE_HEADERS: JSON.stringify(run.routeHeaders),
      SUMMARY: run.summaryFile,
      ...(run.caFile === undefined ? {} : { SSL_CERT_FILE: run.caFile }),
    },
  };
}

export interface K6Run {
  script: string;
  entry: Pick<EntryPoint, 'baseUrl' | 'caFile'>;
  requestsPerSecond: number;
  durationSeconds: number;
  headers: Record<string, string>;
  /** Absolute paths of what the run leaves. */
  summaryFile: string;
  logFile: string;
  signal: AbortSignal;
  /** Default: the installed k6. */
  program?: string;
}

/** What k6 measured. A number that it did not give is undefined, never zero. */
export interface LoadNumbers {
  requests: number | undefined;
  /** Iterations that k6 could not start in time, as those before them took too long. */
  droppedIterations: number;
  p95Ms: number | undefined;
  p99Ms: number | undefined;
  /** Share (0-1) of requests without an answer, or with one of status 400 and up. */
  errorRate: number | undefined;
  /** Share (0-1) of the script's checks that held; undefined where it has none. */
  checkRate: number | undefined;
  /** 0; 99: a threshold of the script's own was crossed. */
  exitCode: number;
}

/** Seconds that k6 gets beyond the load itself: start, set-up, last answers, summary. */
const graceSeconds = 60;

/** k6's exit code for crossed thresholds (k6 source, `errext/exitcodes`). Any other but 0 is a failed run. */
const thresholdsCrossed = 99;

/** Runs one load. Throws an OperationError when k6 is killed, breaks, or leaves no readable summary. */
export async function runK6(run: K6Run): Promise<LoadNumbers> {
  for (const value of Object.values(run.headers)) secrets.register(value);
  await rm(run.summaryFile, { force: true });
  const doing = `load of ${run.requestsPerSecond} requests/s`;
  const { argv, env } = k6Command({
    ...run,
    ...run.entry,
    caFile: run.entry.caFile,
    rate: run.requestsPerSecond,
    routeHeaders: run.headers,
  });
  const k6 = await execa(run.program ?? toolPath('k6'), argv.slice(1), {
    env,
    stdin: 'ignore',
    stdout: { file: run.logFile },
    stderr: { file: run.logFile },
    timeout: (run.durationSeconds + graceSeconds) * 1000,
    forceKillAfterDelay: 5000,
    cancelSignal: run.signal,
    reject: false,
  }); // prettier-ignore
  if (k6.isCanceled) throw new OperationError(doing, 'it was stopped', 'run: npm run resume');
  if (k6.timedOut)
    throw new OperationError(doing, `k6 was still running ${graceSeconds} s after its end`, `see ${run.logFile}`);
  if (k6.exitCode === undefined) {
    throw new OperationError(
      doing,
      `k6 was killed (${k6.signal ?? 'no exit code'})`,
      'check the memory of the machine, then run the release again',
    );
  }
  if (k6.exitCode !== 0 && k6.exitCode !== thresholdsCrossed) {
    throw new OperationError(
      doing,
      `k6 failed with exit code ${k6.exitCode}: ${await lastLine(run.logFile)}`,
      `see ${run.logFile}`,
    );
  }
  const text = await readFile(run.summaryFile, 'utf8').catch(() => '');
  return { ...readSummary(text, doing), exitCode: k6.exitCode };
}

/**
 * Reads the data of k6's `handleSummary`. A script may put the numbers of the journey alone (without its set-up) in
 * `greenlight`: then these count. Throws an OperationError if it is empty or not JSON.
 */
export function readSummary(text: string, doing: string): Omit<LoadNumbers, 'exitCode'> {
  let summary: {
    metrics?: Record<string, { values?: Record<string, unknown> }>;
    greenlight?: { requests?: unknown; failed?: unknown; p95Ms?: unknown; p99Ms?: unknown };
  };
  try {
    summary = JSON.parse(text) as typeof summary;
  } catch (error) {
    const found = text.trim() === '' ? 'k6 left no summary' : "k6's summary is not JSON";
    throw new OperationError(
      doing,
      found,
      "let the script's handleSummary write its data as JSON to the path in SUMMARY",
      { cause: error },
    );
  }
  const finite = (number: unknown) => (typeof number === 'number' && Number.isFinite(number) ? number : undefined);
  const value = (metric: string, key: string) => finite(summary.metrics?.[metric]?.values?.[key]);
  const both = { droppedIterations: value('dropped_iterations', 'count') ?? 0, checkRate: value('checks', 'rate') };
  if (summary.greenlight !== undefined) {
    const { requests, failed, p95Ms, p99Ms } = summary.greenlight;
    const [sent, bad] = [finite(requests), finite(failed)];
    const errorRate = sent === undefined || bad === undefined || sent === 0 ? undefined : bad / sent;
    return { ...both, requests: sent, p95Ms: finite(p95Ms), p99Ms: finite(p99Ms), errorRate };
  }
  return {
    ...both,
    requests: value('http_reqs', 'count'),
    p95Ms: value('http_req_duration', 'p(95)'),
    p99Ms: value('http_req_duration', 'p(99)'),
    errorRate: value('http_req_failed', 'rate'),
  };
}

async function lastLine(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.trim().split('\n').at(-1)?.slice(0, 300) ?? '';
}
