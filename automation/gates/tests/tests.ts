import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Artefact } from '../../../infra/model.ts';
import type { Job, JobResult, Jobs } from '../../../infra/platform/jobs.ts';
import { secrets } from '../../../infra/lib/redact.ts';
import { check, type Gate, type Measurement } from '../../journal/verdict.ts';
import { openForwarder } from '../web/forwarder.ts';
import { decodeXml, parseJUnit } from './junit.ts';
import type { TestReport } from './report.ts';
import { parseTap } from './tap.ts';

/** What says which tests ran: JUnit XML, TAP on the standard output, or nothing but the exit code. */
export type TestFormat = 'junit' | 'tap' | 'exit-code';

export interface TestsGate {
  /** For example `unit-tests`, `integration-tests`, `acceptance`, `smoke` or `compatibility`. */
  id: string;
  title: string;
  jobs: Jobs;
  /** The version whose tests run; for `compatibility` the old version. */
  artefact: Artefact;
  /** Program and arguments. `{results}` is replaced by the path for the JUnit XML. */
  command: string[];
  env: Record<string, string>;
  /** The login that the tests have, where they have a database. */
  database?: Job['database'];
  timeoutMs: number;
  /** Default: `junit` where the command has `{results}` or `results` is given, else `exit-code`. */
  format?: TestFormat | undefined;
  /** Where the command writes its JUnit XML by itself, in its directory: a file or a directory. */
  results?: string | undefined;
  /** True: the command writes into its directory. */
  writable?: boolean;
  /** The tests know nothing of the headers that reach the version, nor of its certificate: a forwarder on loopback adds both. */
  through?: { baseUrl: string; caFile?: string; routeHeaders: Record<string, string> };
}

/**
 * Runs a version's own tests. By JUnit XML or TAP it passes only if at least one ran, the results were written, and none failed. By
 * the exit code it passes where that is 0, and says that nobody knows how many ran.
 */
export function testsGate(options: TestsGate): Gate {
  const { id, title, jobs, artefact, command, database, timeoutMs, results: own, writable = false, through } = options;
  const written = own !== undefined || command.some((part) => part.includes('{results}'));
  const format = options.format ?? (written ? 'junit' : 'exit-code');
  return {
    id,
    title,
    async measure({ evidence, signal }) {
      const forwarder = through && (await openForwarder(through, through.routeHeaders, { forClients: true }));
      const env = { ...options.env, ...(forwarder && { BASE_URL: forwarder.origin }) };
      registerSecrets({ ...env, ...(through && { ROUTE_HEADERS: JSON.stringify(through.routeHeaders) }) });
      const results = evidence.file('junit.xml');
      const log = evidence.file('log.txt');
      try {
        const job = await jobs.run({
          name: id,
          artefact,
          command,
          env,
          ...(database === undefined ? {} : { database }),
          timeoutMs,
          ...(format === 'junit' ? { results } : {}),
          ...(own === undefined ? {} : { resultsIn: own }),
          ...(writable ? { writable } : {}),
          log,
          signal,
        });
        // Tests that were killed or timed out may have left an incomplete file, so it is not read.
        const over = job.exitCode !== undefined && !job.timedOut;
        const report = over ? await readReport(format, { results, log }) : undefined;
        if (forwarder !== undefined)
          await evidence.write('forwarded.json', JSON.stringify(forwarder.seen(), undefined, 2));
        const measurements = judgeTests(report, job, timeoutMs, format);
        if (format === 'exit-code') return { measurements, summary: byExitCode };
        return { measurements, summary: { measured: `${report?.ran ?? 0} tests passed`, wanted: 'every test passes' } };
      } finally {
        await forwarder?.close();
      }
    },
  };
}

const byExitCode = { measured: 'exit code 0; how many tests ran is not known', wanted: 'exit code 0' };

/** Registers the secrets that the contract passes to tests, so that they are masked if a test prints them. */
function registerSecrets({ DATABASE_URL, ROUTE_HEADERS }: Record<string, string | undefined>): void {
  const headers = JSON.parse(ROUTE_HEADERS ?? '{}') as Record<string, string>;
  for (const value of Object.values(headers)) secrets.register(value);
  if (DATABASE_URL !== undefined) secrets.register(decodeURIComponent(new URL(DATABASE_URL).password));
}

async function readReport(
  format: TestFormat,
  { results, log }: { results: string; log: string },
): Promise<TestReport | undefined> {
  if (format === 'exit-code') return undefined;
  if (format === 'tap') return parseTap(await readFile(log, 'utf8'));
  const files = await xmlFiles(results);
  const reports = await Promise.all(files.map(async (file) => decodeXml(await readFile(file))));
  const parsed = reports.filter((xml) => xml.trim() !== '').map(parseJUnit);
  if (parsed.length === 0) return undefined;
  return {
    ran: parsed.reduce((sum, { ran }) => sum + ran, 0),
    skipped: parsed.reduce((sum, { skipped }) => sum + skipped, 0),
    failures: parsed.flatMap(({ failures }) => failures),
  };
}

/** Some runners write a file per suite, into a directory. */
async function xmlFiles(results: string): Promise<string[]> {
  const found = await stat(results).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return [];
  if (!found.isDirectory()) return [results];
  const entries = await readdir(results, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.toLowerCase().endsWith('.xml'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** How many failing tests a note names. The evidence has all. */
const named = 5;

/** Judges one run of tests. `report` is undefined if there are no results. */
export function judgeTests(
  report: TestReport | undefined,
  job: JobResult,
  timeoutMs: number,
  format: TestFormat = 'junit',
): Measurement[] {
  const measurements = [judgeExit(report, job, timeoutMs, format)];
  if (job.exitCode === undefined || job.timedOut || format === 'exit-code') return measurements;
  if (report === undefined) {
    measurements.push({
      name: 'tests that ran',
      measured: 'no results file',
      wanted: '>= 1',
      verdict: 'inconclusive',
      note: 'The test command must write JUnit XML to the path that replaces {results}, or to "results".',
    });
    return measurements;
  }
  measurements.push({
    name: 'tests that ran',
    measured: report.skipped > 0 ? `${report.ran} (${report.skipped} skipped)` : `${report.ran}`,
    wanted: '>= 1',
    ...(report.ran === 0
      ? { verdict: 'inconclusive', note: 'No test ran: check which tests the command selects.' }
      : report.unknown === undefined
        ? { verdict: 'pass' }
        : { verdict: 'inconclusive', note: `The TAP does not say whether all tests ran: ${report.unknown}.` }),
  });
  const { failures } = report;
  const more = failures.length > named ? `; and ${failures.length - named} more` : '';
  const note = failures.slice(0, named).join('; ') + more;
  measurements.push(check('tests that failed', '0', `${failures.length}`, failures.length === 0, note));
  return measurements;
}

function judgeExit(report: TestReport | undefined, job: JobResult, timeoutMs: number, format: TestFormat): Measurement {
  const base = { name: 'test command', wanted: 'exit code 0' };
  const last = job.tail.trim().split('\n').slice(-3).join(' | ');
  if (job.timedOut) {
    return {
      ...base,
      measured: 'timed out',
      verdict: 'error',
      note: `It did not end within ${timeoutMs / 1000} s. Last output: ${last}`,
    };
  }
  if (job.exitCode === undefined) {
    return {
      ...base,
      measured: 'was killed',
      verdict: 'error',
      note: `It was killed before it ended. Last output: ${last}`,
    };
  }
  const measured = `exit code ${job.exitCode}`;
  if (job.exitCode === 0)
    return { ...base, measured: format === 'exit-code' ? byExitCode.measured : measured, verdict: 'pass' };
  // Without results the test command itself failed, so nothing is known about the version.
  const known = format === 'exit-code' || report !== undefined;
  return { ...base, measured, verdict: known ? 'fail' : 'error', note: `Last output: ${last}` };
}
