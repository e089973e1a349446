import { join } from 'node:path';
import { packageRoot } from '../../../infra/lib/paths.ts';

/** An empty settings file for K6_CONFIG. Without it k6 reads a file in the caller's home. */
export const k6Settings = join(packageRoot, 'loadtests', 'k6.json');

/** What a load is made of. */
export interface Journey {
  /** Absolute path of the k6 script. */
  script: string;
  /** Paths that it asks by GET: of the journey of an application that has no script. */
  paths?: readonly string[] | undefined;
}

/** The journey of an application that has no script: it asks these paths. */
export const journeyOfPaths = (paths: readonly string[]): Required<Journey> => ({
  script: join(packageRoot, 'loadtests', 'routes.ts'),
  paths,
});

/** One run of k6, as data. */
export interface K6Command {
  /**
   * Absolute path of the k6 script. It reads BASE_URL, RATE, DURATION and ROUTE_HEADERS, and writes its summary as JSON
   * to the path in SUMMARY.
   */
  script: string;
  /** PATHS of the journey of routes; undefined: the script is the application's own. */
  paths?: readonly string[] | undefined;
  baseUrl: string;
  caFile: string | undefined;
  /** Requests per second of all segments together. */
  rate: number;
  durationSeconds: number;
  /** Sent with every request. The values are secrets. */
  routeHeaders: Record<string, string>;
  summaryFile: string;
  /** File for the lines that the script logs; undefined: k6's own output. */
  consoleFile?: string;
  /** The part of the load that this run is; undefined: all of it. */
  segment?: Segment;
}

export interface Segment {
  /** Counted from 0. */
  index: number;
  count: number;
  /** Time at which all segments begin, ms since the epoch. */
  startAt: number;
}

/** The arguments and the environment of one run of k6. Pure. */
export function k6Command(run: K6Command): { argv: string[]; env: Record<string, string> } {
  const trend = ['--summary-trend-stats', 'avg,med,p(90),p(95),p(99),max,count'];
  // k6's default format would put fields around the lines of the ledger.
  const log = run.consoleFile === undefined ? [] : ['--log-format', 'raw', '--console-output', run.consoleFile];
  return {
    // `--address=` disables the API server: a second k6 on the same machine would find its port taken.
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
    // The route headers are secret. Every user of the machine can see a program's arguments, but not its environment.
    env: {
      BASE_URL: run.baseUrl,
      ...(run.paths === undefined ? {} : { PATHS: JSON.stringify(run.paths) }),
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

/**
 * All segments get the same sequence. k6 distributes the iterations by it, so that each runs in exactly one segment.
 */
function segmentArguments(segment: Segment | undefined): string[] {
  if (segment === undefined) return [];
  const { index, count } = segment;
  const edge = (i: number): string => (i === 0 ? '0' : i === count ? '1' : `${i}/${count}`);
  const sequence = Array.from({ length: count + 1 }, (_, i) => edge(i)).join(',');
  return ['--execution-segment', `${edge(index)}:${edge(index + 1)}`, '--execution-segment-sequence', sequence];
}
