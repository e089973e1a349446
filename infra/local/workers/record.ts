import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { replaceFileSync } from '../../lib/atomic-file.ts';
import { placeOfProcesses, processIdentity } from '../../lib/process-identity.ts';
import type { Colour } from '../../model.ts';

/** A process that is not mistaken for a later one with the same id. */
export interface KnownProcess {
  pid: number;
  /** Start time, and machine and boot within which the pid is unique. */
  identity: string;
}

/** What a guard says of itself and of the command that it runs. A file each, in `workers/`. */
export interface GuardRecord {
  name: string;
  colour: Colour;
  kind: 'worker' | 'schedule';
  guard: KnownProcess;
  /** The last `Turn.change` that it has acted on; undefined: none yet. */
  change: string | undefined;
  /** The run of its command. It is recorded before it is started, so that it is found whenever the guard is killed. */
  run: Run | undefined;
  failures: number;
  stopSeconds: number;
  /** Whether its last command did not end on SIGTERM and was killed, and the `change` that ended it. */
  ended?: { change: string; killed: boolean } | undefined;
}

export interface Run {
  /** In the environment of the command and of all that it starts. */
  mark: string;
  /** Command that removes its container, which is no child of the leader. Absent: it has none. */
  clear?: string[] | undefined;
  /** The leader of its session and group. Undefined until it is started. */
  leader?: KnownProcess | undefined;
}

let place: string | undefined;

/** The process with this id, if it lives. */
export function knownProcess(pid: number): KnownProcess | undefined {
  const start = processIdentity(pid);
  if (start === undefined) return undefined;
  place ??= placeOfProcesses();
  return { pid, identity: `${place} ${start}` };
}

export const lives = ({ pid, identity }: KnownProcess): boolean => knownProcess(pid)?.identity === identity;

export function readRecord(file: string): GuardRecord | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as GuardRecord;
  } catch {
    // Missing, or damaged by a power cut, which no process has survived.
    return undefined;
  }
}

/** At once, so that what follows is never unknown to who reads the record. */
export function writeRecord(file: string, record: GuardRecord): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  replaceFileSync(file, JSON.stringify(record));
}

export const removeRecord = (file: string): void => rmSync(file, { force: true });

export const recordFile = (directory: string, name: string): string => join(directory, `${name}.json`);

/** All records of an environment. */
export async function readRecords(directory: string): Promise<GuardRecord[]> {
  const files = (await readdir(directory).catch(() => [])).filter((file) => file.endsWith('.json')).sort();
  return files.map((file) => readRecord(join(directory, file))).filter((record) => record !== undefined);
}
