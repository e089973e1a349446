import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { childEnvironment } from '../../../infra/lib/child-environment.ts';
import { greenlight } from '../../../infra/lib/command.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import { packageRoot } from '../../../infra/lib/paths.ts';
import { toolPath } from '../../../infra/lib/tools.ts';
import type { Finding, Scanner, ScanReport, ScanTarget, Severity } from './scanner.ts';

/** Names of the modules to run. The file README.md beside it says why the others do not run. */
const modulesFile = join(packageRoot, 'securitytests', 'wapiti-modules.json');

/** Wapiti 3, an active scanner. Its modules count as rules. */
export function wapiti(program = toolPath('wapiti')): Scanner {
  const modules = async () => Object.keys(JSON.parse(await readFile(modulesFile, 'utf8')) as Record<string, string>);
  return {
    name: 'Wapiti',
    async version() {
      const { stdout } = await execa(program, ['--version'], { ...childEnvironment(), stdin: 'ignore' });
      return /\d+\.\d+\.\d+/.exec(stdout)?.[0] ?? 'unknown';
    },
    async rules() {
      // Wapiti ignores unknown modules without an error, so only those of the installed version count.
      const { stdout } = await execa(program, ['--list-modules'], { ...childEnvironment(), stdin: 'ignore' });
      const known = new Set([...stdout.matchAll(/^\t(\w+)/gm)].map(([, name]) => name));
      return (await modules()).filter((name) => known.has(name));
    },
    async scan(target) {
      const work = await mkdtemp(join(tmpdir(), 'greenlight-wapiti-'));
      try {
        return await run(program, await this.rules(), target, work);
      } finally {
        await rm(work, { recursive: true, force: true });
      }
    },
    close: () => Promise.resolve(),
  };
}

/** The arguments of one scan. Pure. */
export function wapitiArguments(
  target: Pick<ScanTarget, 'origin' | 'startPaths' | 'maxSeconds'>,
  modules: string[],
  files: { report: string; work: string },
): string[] {
  // A quarter of the time for the crawl, and at most a quarter for each module: most take a second or two.
  const quarter = String(Math.max(1, Math.floor(target.maxSeconds / 4)));
  return [
    '--url',
    `${target.origin}/`,
    ...target.startPaths.flatMap((path) => ['--start', target.origin + path]),
    '--scope',
    'folder',
    '--module',
    modules.join(','),
    '--max-scan-time',
    quarter,
    '--max-attack-time',
    quarter,
    '--timeout',
    '10',
    '--no-bugreport',
    '--verbose',
    '1',
    '--detailed-report',
    '1',
    '--store-session',
    join(files.work, 'session'),
    '--store-config',
    join(files.work, 'config'),
    '--format',
    'json',
    '--output',
    files.report,
  ];
}

async function run(program: string, modules: string[], target: ScanTarget, work: string): Promise<ScanReport> {
  const doing = 'scanning with Wapiti';
  const report = target.evidence.file('wapiti.json');
  const log = target.evidence.file('wapiti.log');
  const scan = await execa(program, wapitiArguments(target, modules, { report, work }), {
    // Without the proxy variables of the caller's shell: a proxy could not reach this machine's loopback address.
    ...childEnvironment(),
    stdin: 'ignore',
    stdout: { file: log },
    stderr: { file: log },
    timeout: target.maxSeconds * 2000,
    forceKillAfterDelay: 2000,
    cancelSignal: target.signal,
    reject: false,
  });
  if (scan.isCanceled) throw new OperationError(doing, 'it was stopped', `run: ${greenlight('resume')}`);
  if (scan.timedOut) {
    throw new OperationError(doing, `it did not end within ${target.maxSeconds * 2} s`, 'raise security.maxSeconds');
  }
  if (scan.exitCode !== 0) {
    throw new OperationError(doing, `it ended with ${scan.signal ?? `exit code ${scan.exitCode}`}`, `see ${log}`);
  }
  const [text, output] = await Promise.all([readFile(report, 'utf8').catch(() => ''), readFile(log, 'utf8')]);
  return { findings: readWapitiReport(text), ...readWapitiLog(output) };
}

interface Entry {
  path: string;
  info: string;
  level: number;
  parameter?: string;
  module: string;
}

/** Wapiti's levels are 1 (low) to 4 (critical). Everything under `additionals` is information. */
const severityOf: Record<number, Severity> = { 1: 'low', 2: 'medium', 3: 'high', 4: 'high' };

/** Reads Wapiti's JSON report. Throws an OperationError if it is empty, not JSON or has no list of vulnerabilities. */
export function readWapitiReport(text: string): Finding[] {
  type Entries = Record<string, Entry[]>;
  let report: { vulnerabilities?: Entries; anomalies?: Entries; additionals?: Entries };
  try {
    report = JSON.parse(text) as typeof report;
  } catch (error) {
    const found = text.trim() === '' ? 'it left no report' : 'its report is not JSON';
    throw new OperationError('scanning with Wapiti', found, 'see wapiti.log among the evidence', { cause: error });
  }
  if (report.vulnerabilities === undefined) {
    throw new OperationError(
      'scanning with Wapiti',
      'its report has no list of vulnerabilities',
      `install the pinned version: ${greenlight('doctor')}`,
    );
  }
  const findings = (entries: Entries | undefined, fixed?: Severity): Finding[] =>
    Object.entries(entries ?? {}).flatMap(([rule, list]) =>
      list.map(({ path, info, level, parameter }) => ({
        rule,
        severity: fixed ?? severityOf[level] ?? 'high',
        path,
        ...(parameter ? { parameter } : {}),
        detail: info,
      })),
    );
  return [...findings(report.vulnerabilities), ...findings(report.anomalies), ...findings(report.additionals, 'info')];
}

/** From Wapiti's log: the modules that were started, and those that ran out of time (`crawl` among them). */
export function readWapitiLog(log: string): { ran: string[]; cut: string[] } {
  const names = (pattern: RegExp) => [...new Set([...log.matchAll(pattern)].map(([, name]) => name ?? ''))];
  const cut = names(/Max attack time was reached for module (\w+)/g);
  return {
    ran: names(/Launching module (\w+)/g),
    cut: log.includes('Max scan time was reached') ? ['crawl', ...cut] : cut,
  };
}
