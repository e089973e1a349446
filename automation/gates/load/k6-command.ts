import { join } from 'node:path';
import { projectRoot } from '../../../infra/lib/paths.ts';

/** k6's settings, in K6_CONFIG: none. It would read a file in the caller's home else. */
export const k6Settings = join(projectRoot, 'loadtests', 'k6.json');

/** One run of k6 as data: what to call, and with which environment. */
export interface K6Command {
  /** Absolute path of the k6 script: reads BASE_URL, RATE, DURATION, ROUTE_HEADERS, writes its summary (JSON) to SUMMARY. */
  script: string;
  baseUrl: string;
  caFile: string | undefined;
  /** Requests per second, of all segments together. */
  rate: number;
  durationSeconds: number;
  /** Sent with every request. Their values are secrets. */
  routeHeaders: Record<string, string>;
  summaryFile: string;
  /** Where lines that the script logs go; undefined: to k6's own output. */
  consoleFile?: string;
  /** The part of the load that this run is; undefined: all of it. */
  segment?: Segment;
}

export interface Segment {
  /** From 0. */
  index: number;
  count: number;
  /** When all segments begin, ms since the epoch. */
  startAt: number;
}

/** The arguments and the environment of one run of k6. Pure. */
export function k6Command(run: K6Command): { argv: string[]; env: Record<string, string> } {
  const trend = ['--summary-trend-stats', 'avg,med,p(90),p(95),p(99),max,count'];
  // Raw: what the script logged and nothing else; k6's own format would wrap the ledger's lines.
  const log = run.consoleFile === undefined ? [] : ['--log-format', 'raw', '--console-output', run.consoleFile];
  return {
    // Without its API server: a second k6 on the same machine would find the port taken.
    argv: [
      'k6',
      'run',
      '--quiet',
      '--no-color',
      '--no-usage-report',
      '--address=',
      ...trend,
      ...segmentArguments(run.segment),
      ...log,
      run.script,
    ],
    // The headers hold a secret, and arguments can be seen by everybody on the machine: so the environment it is.
    env: {
      BASE_URL: run.baseUrl,
      RATE: String(run.rate),
      DURATION: String(run.durationSeconds),
      ROUTE_HEADERS: JSON.stringify(run.routeHeaders),
      SUMMARY: run.summaryFile,
      ...(run.caFile === undefined ? {} : { SSL_CERT_FILE: run.caFile }),
      ...(run.segment === undefined
        ? {}
        : { SEGMENTS: String(run.segment.count), START_AT: String(run.segment.startAt), HISTOGRAM: '1' }),
    },
  };
}

/** The same sequence for all segments: k6 deals the iterations out by it, so that each of them is in exactly one. */
function segmentArguments(segment: Segment | undefined): string[] {
  if (segment === undefined) return [];
  const { index, count } = segment;
  const edge = (i: number): string => (i === 0 ? '0' : i === count ? '1' : `${i}/${count}`);
  const sequence = Array.from({ length: count + 1 }, (_, i) => edge(i)).join(',');
  return ['--execution-segment', `${edge(index)}:${edge(index + 1)}`, '--execution-segment-sequence', sequence];
}
