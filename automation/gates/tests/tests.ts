import { readFile } from 'node:fs/promises';
import type { Artefact } from '../../../infra/model.ts';
import type { Job, JobResult, Jobs } from '../../../infra/platform/jobs.ts';
import { secrets } from '../../../infra/lib/redact.ts';
import { check, type Gate, type Measurement } from '../../journal/verdict.ts';
import { parseJUnit, type JUnitReport } from './junit.ts';

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
}

/** Runs a version's own tests. Passes only if at least one ran, the results were written, and none failed. */
export function testsGate(options: TestsGate): Gate {
  const { id, title, jobs, artefact, command, env, database, timeoutMs } = options;
  return {
    id,
    title,
    async measure({ evidence, signal }) {
      registerSecrets(env);
      const results = evidence.file('junit.xml');
      const job = await jobs.run({
        name: id,
        artefact,
        command,
        env,
        ...(database === undefined ? {} : { database }),
        timeoutMs,
        results,
        log: evidence.file('log.txt'),
        signal,
      });
      // Tests that were killed or timed out may have left an incomplete file, so it is not read.
      const report = job.exitCode === undefined || job.timedOut ? undefined : await readReport(results);
      const measurements = judgeTests(report, job, timeoutMs);
      const ran = report?.ran ?? 0;
      return { measurements, summary: { measured: `${ran} tests passed`, wanted: 'every test passes' } };
    },
  };
}

/** Registers the secrets that the contract passes to tests, so that they are masked if a test prints them. */
function registerSecrets({ DATABASE_URL, ROUTE_HEADERS }: Record<string, string | undefined>): void {
  const headers = JSON.parse(ROUTE_HEADERS ?? '{}') as Record<string, string>;
  for (const value of Object.values(headers)) secrets.register(value);
  if (DATABASE_URL !== undefined) secrets.register(decodeURIComponent(new URL(DATABASE_URL).password));
}

async function readReport(file: string): Promise<JUnitReport | undefined> {
  const xml = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  return xml.trim() === '' ? undefined : parseJUnit(xml);
}

/** How many failing tests a note names. The evidence has all. */
const named = 5;

/** Judges one run of tests. `report` is undefined if the JUnit XML is missing or empty. */
export function judgeTests(report: JUnitReport | undefined, job: JobResult, timeoutMs: number): Measurement[] {
  const measurements = [judgeExit(report, job, timeoutMs)];
  if (job.exitCode === undefined || job.timedOut) return measurements;
  if (report === undefined) {
    measurements.push({
      name: 'tests that ran',
      measured: 'no results file',
      wanted: '>= 1',
      verdict: 'inconclusive',
      note: 'The test command must write JUnit XML to the path that replaces {results}.',
    });
    return measurements;
  }
  measurements.push({
    name: 'tests that ran',
    measured: report.skipped > 0 ? `${report.ran} (${report.skipped} skipped)` : `${report.ran}`,
    wanted: '>= 1',
    ...(report.ran > 0
      ? { verdict: 'pass' }
      : { verdict: 'inconclusive', note: 'No test ran: check which tests the command selects.' }),
  });
  const { failures } = report;
  const more = failures.length > named ? `; and ${failures.length - named} more` : '';
  const note = failures.slice(0, named).join('; ') + more;
  measurements.push(check('tests that failed', '0', `${failures.length}`, failures.length === 0, note));
  return measurements;
}

function judgeExit(report: JUnitReport | undefined, job: JobResult, timeoutMs: number): Measurement {
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
  if (job.exitCode === 0) return { ...base, measured, verdict: 'pass' };
  // Without results the test command itself failed, so nothing is known about the version.
  return { ...base, measured, verdict: report === undefined ? 'error' : 'fail', note: `Last output: ${last}` };
}
