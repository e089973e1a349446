import { join } from 'node:path';
import { colours, defaultTimeouts, timeoutsOf, type EnvironmentSpec } from '../../model.ts';
import type { Metrics, TrafficWindow } from '../../platform/metrics.ts';
import { backendName } from '../haproxy/backends.ts';
import { balancerSocket } from '../haproxy/config.ts';
import { parseWaiting, runtimeCommand, type Waiting } from '../haproxy/runtime.ts';
import { Traffic } from '../haproxy/traffic.ts';
import type { Layout } from '../lib/layout.ts';
import { readdir, readFile } from 'node:fs/promises';
import { execa } from 'execa';
import { bareEnvironment } from '../../lib/child-environment.ts';

/** A supervised process and its part: `api.blue`, `database.blue`, `balancer`. */
export interface PartProcess {
  part: string;
  pid: number;
}

/** Requests that hang now are counted only in a window that ended at most this long ago, ms. */
const freshMs = 2_000;
/**
 * A request without a response hangs after this multiple of the p95 objective, but at least after this many seconds.
 */
const hung = { timesP95: 4, minSeconds: 2 };

/** Traffic from the balancer's log, and CPU time from the system. `processes` lists the current processes. */
export function createLocalMetrics(
  layout: Layout,
  spec: EnvironmentSpec,
  processes: () => Promise<PartProcess[]>,
): Metrics {
  const traffic = new Traffic(join(layout.logs(), 'balancer.log'), spec.slo.p95Ms);
  return {
    // The balancer logs a request as soon as it ends.
    delayMs: 0,
    periodMs: 0,

    async window(from, to) {
      const window = await traffic.window(from, to);
      if (to < Date.now() - freshMs) return window;
      const answer = await runtimeCommand(
        balancerSocket(layout),
        'show sess all',
        'looking for requests without an answer',
      );
      return withHung(window, parseWaiting(answer), spec);
    },
    async cpuSeconds() {
      const parts = await processes();
      const seconds = await cpuSecondsOf(parts.map(({ pid }) => pid));
      const totals: Record<string, number> = {};
      for (const { part, pid } of parts) totals[part] = (totals[part] ?? 0) + (seconds.get(pid) ?? 0);
      return totals;
    },
  };
}

/**
 * Adds each hanging request as an error. Such requests are not in the log until they end, so a colour that stopped
 * responding would otherwise look healthy.
 */
export function withHung(window: TrafficWindow, waiting: Waiting[], { services, slo }: EnvironmentSpec): TrafficWindow {
  const minSeconds = Math.max(hung.minSeconds, (hung.timesP95 * slo.p95Ms) / 1000);
  // Where the definition says that answers take long, waiting is no sign: what does not come in time is in the log.
  const patient = services.filter((service) => timeoutsOf(service).answerSeconds > defaultTimeouts.answerSeconds);
  const late = waiting.filter(
    ({ seconds, backend }) => seconds >= minSeconds && !patient.some(({ name }) => backend.startsWith(`${name}.`)),
  );
  const traffic = { ...window.colours };
  for (const colour of colours) {
    const of = (kind: 'read' | 'write'): number => {
      const names = services.map(({ name }) => backendName(name, colour, kind));
      return late.filter(({ backend }) => names.includes(backend)).length;
    };
    const [reads, writes] = [of('read'), of('write')];
    const seen = traffic[colour];
    traffic[colour] = {
      ...seen,
      requests: seen.requests + reads + writes,
      errors: seen.errors + reads + writes,
      writes: seen.writes + writes,
    };
  }
  return { ...window, colours: traffic };
}

/** USER_HZ, the unit of CPU time in /proc. It is 100 on every architecture that Node.js supports. */
const ticksPerSecond = 100;

interface Process {
  pid: number;
  parent: number;
  seconds: number;
}

/**
 * CPU seconds used so far by each process and its descendants; 0 if it has ended. On Linux this includes descendants
 * that have ended, so that PostgreSQL's closed connections count.
 */
export async function cpuSecondsOf(pids: number[]): Promise<Map<number, number>> {
  const processes = process.platform === 'linux' ? await linuxProcesses() : await otherProcesses();
  const children = Map.groupBy(processes, ({ parent }) => parent);
  const own = new Map(processes.map(({ pid, seconds }) => [pid, seconds]));
  const total = (pid: number): number =>
    (children.get(pid) ?? []).reduce((sum, child) => sum + total(child.pid), own.get(pid) ?? 0);
  return new Map(pids.map((pid) => [pid, total(pid)]));
}

async function linuxProcesses(): Promise<Process[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => parseStat(await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ''))),
  );
  return found.filter((one) => one !== undefined);
}

/** Parses /proc/<pid>/stat. The name, in parentheses, may contain spaces and parentheses. */
export function parseStat(line: string): Process | undefined {
  const nameEnds = line.lastIndexOf(')');
  if (nameEnds < 0) return undefined;
  // proc(5): field 3 is the state, 4 the parent, 14 to 17 utime, stime, cutime and cstime.
  const fields = line.slice(nameEnds + 2).split(' ');
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return { pid: Number.parseInt(line, 10), parent: Number(fields[1]), seconds: ticks / ticksPerSecond };
}

async function otherProcesses(): Promise<Process[]> {
  const { stdout } = await execa('ps', ['-axo', 'pid=,ppid=,time='], bareEnvironment({ LC_ALL: 'C' }));
  return stdout.split('\n').flatMap((line) => {
    const [pid, parent, time] = line.trim().split(/\s+/);
    if (time === undefined) return [];
    return [{ pid: Number(pid), parent: Number(parent), seconds: parseTime(time) }];
  });
}

/** Parses CPU time as `ps` prints it, `[[days-]hours:]minutes:seconds[.hundredths]`, to seconds. */
export function parseTime(time: string): number {
  const [days, clock] = time.includes('-') ? time.split('-') : ['0', time];
  const seconds = (clock ?? '').split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
  return Number(days) * 86_400 + seconds;
}
