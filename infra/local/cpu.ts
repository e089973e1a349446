import { readdir, readFile } from 'node:fs/promises';
import { execa } from 'execa';
import { bareEnvironment } from '../child-environment.ts';

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
