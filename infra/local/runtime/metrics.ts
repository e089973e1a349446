import { join } from 'node:path';
import { colours, type Colour, type EnvironmentSpec } from '../../model.ts';
import type { ColourTraffic, Metrics, TrafficWindow } from '../../platform/metrics.ts';
import { AccessLog, type AccessRecord } from '../haproxy/access-log.ts';
import { backendName, balancerSocket } from '../haproxy/config.ts';
import { parseWaiting, runtimeCommand, type Waiting } from '../haproxy/runtime.ts';
import type { Layout } from '../lib/layout.ts';
import { readdir, readFile } from 'node:fs/promises';
import { execa } from 'execa';
import { bareEnvironment } from '../../lib/child-environment.ts';

/** A supervised process and the part it belongs to: `api.blue`, `database.blue`, `balancer`. */
export interface PartProcess {
  part: string;
  pid: number;
}

/** A window that ended longer ago than this is of the past, ms. */
const freshMs = 2_000;
/** So many times what 95 of 100 requests may take, and at least so many seconds, without an answer: it hangs. */
const hung = { times: 4, seconds: 2 };

/** Traffic from the balancer's log, CPU time from the system. `processes` says which processes there are now. */
export function createLocalMetrics(
  layout: Layout,
  spec: EnvironmentSpec,
  processes: () => Promise<PartProcess[]>,
): Metrics {
  const log = new AccessLog(join(layout.logs(), 'balancer.log'));
  return {
    // The balancer writes a request down when it has answered it.
    delayMs: 0,
    periodMs: 0,

    async window(from, to) {
      const window = summarize(await log.since(from), from, to, spec.slo.p95Ms);
      // Who waits now says nothing about a time that is over.
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
 * What each colour did within [from, to). Left out are the header route, what reached no colour, and clients that left
 * before `patienceMs` was over without an answer: they say nothing about the colour. One that waited longer in vain does.
 */
export function summarize(records: AccessRecord[], from: number, to: number, patienceMs: number): TrafficWindow {
  const traffic: Record<Colour, ColourTraffic> = { blue: nothing(), green: nothing() };
  for (const record of records) {
    if (record.at < from || record.at >= to || record.by === 'header' || record.colour === undefined) continue;
    const outcome = judge(record, patienceMs);
    if (outcome === 'left') continue;
    const colour = traffic[record.colour];
    colour.requests += 1;
    if (record.kind === 'write') colour.writes += 1;
    else if (record.by === 'split') colour.splitReads += 1;
    if (outcome === 'error') colour.errors += 1;
    if (record.ms >= 0) colour.latenciesMs.push(record.ms);
  }
  return { from, to, colours: traffic, newestAt: records.at(-1)?.at };
}

/**
 * Adds the requests that hang, each as an error: they are in no log until somebody gives up, and a colour that answers
 * nothing would look as good as its last answers.
 */
export function withHung(window: TrafficWindow, waiting: Waiting[], { services, slo }: EnvironmentSpec): TrafficWindow {
  const least = Math.max(hung.seconds, (hung.times * slo.p95Ms) / 1000);
  const late = waiting.filter(({ seconds }) => seconds >= least);
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

/**
 * The first letter of the termination state says who ended the request: `C` the client, `S` or `s` the server (broke off or
 * too slow), which is an error even where the status had been sent already.
 */
function judge({ status, state, ms }: AccessRecord, patienceMs: number): 'answered' | 'error' | 'left' {
  if (/^[Cc][^DL]/.test(state)) return ms < patienceMs ? 'left' : 'error';
  return status >= 500 || status <= 0 || /^[Ss]/.test(state) ? 'error' : 'answered';
}

const nothing = (): ColourTraffic => ({ requests: 0, errors: 0, writes: 0, splitReads: 0, latenciesMs: [] });

/** Linux counts CPU time in USER_HZ, which is 100 on every architecture that Node runs on. */
const ticksPerSecond = 100;

interface Process {
  pid: number;
  parent: number;
  seconds: number;
}

/**
 * CPU seconds that each process and its descendants have used so far; 0 for one that is gone. On Linux that includes
 * descendants that have ended, so PostgreSQL's closed connections count.
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

/** A line of /proc/<pid>/stat. The name, in parentheses, may itself hold spaces and parentheses. */
export function parseStat(line: string): Process | undefined {
  const nameEnds = line.lastIndexOf(')');
  if (nameEnds < 0) return undefined;
  // Fields from the third on: state, parent, ...; utime, stime, cutime and cstime are the 14th to 17th (proc(5)).
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

/** `[[days-]hours:]minutes:seconds[.hundredths]`, as ps prints CPU time. */
export function parseTime(time: string): number {
  const [days, clock] = time.includes('-') ? time.split('-') : ['0', time];
  const seconds = (clock ?? '').split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
  return Number(days) * 86_400 + seconds;
}
