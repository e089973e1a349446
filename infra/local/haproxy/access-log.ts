import { open, readdir, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { greenlight } from '../../lib/command.ts';
import { OperationError } from '../../lib/errors.ts';
import { colours, type Colour } from '../../model.ts';
import { isLong, requestKinds, type RequestKind } from './backends.ts';

/** One request in the balancer's log. */
export interface AccessRecord {
  /** When the request ended, ms since the epoch. */
  at: number;
  /** Undefined if no colour was chosen. */
  colour: Colour | undefined;
  service: string;
  kind: RequestKind;
  /** `anew`: a write only because it has no session cookie. */
  by: 'header' | 'split' | 'wrote' | 'anew';
  /** 0 or less: no response. */
  status: number;
  /** From the first byte of the request to the last byte of the response, or to the first one where it lasts as long as somebody listens, ms. -1: not available. */
  ms: number;
  /** HAProxy's termination state: the cause of the end and the phase. `--`: normal end. */
  state: string;
  synthetic: boolean;
}

/** Parses a line in `accessLogFormat`. Undefined for any other line. */
export function parseAccessLine(line: string): AccessRecord | undefined {
  const [mark, at, colour, service, kind, by, status, ms, state, synthetic, held, data, ...rest] = line.split(' ');
  if (mark !== 'greenlight' || held === undefined || rest.length > 0 || !/^\d+$/.test(at ?? '')) return undefined;
  const found = requestKinds.find((name) => name === kind) ?? 'read';
  return {
    at: Number(at),
    colour: colours.find((name) => name === colour),
    service: service ?? '-',
    kind: found,
    by: by === 'header' || by === 'wrote' || by === 'anew' ? by : 'split',
    status: Number(status),
    ms: isLong(found) ? Number(ms) - Math.max(0, Number(data ?? 0)) : Number(ms),
    state: state ?? '--',
    synthetic: synthetic === 'synthetic',
  };
}

const chunkBytes = 1 << 20;

/** Reads the balancer's log incrementally. The supervisor rotates it by renaming (`balancer.log`, `.1`, `.2`, ...). */
export class AccessLog {
  readonly #file: string;
  /** Where reading stopped: inode of the file, and offset after the last complete line. */
  #position: { inode: bigint; offset: number } | undefined;

  constructor(file: string) {
    this.#file = file;
  }

  /**
   * Calls `see` for every request that was logged since the last call, in the order in which they ended. The first time, and where the
   * file that was read last is gone, for all that are there, after a call of `anew`. `begins` is the first of them (ms since the epoch) if
   * older ones may have been rotated away. Rejects with an OperationError if there is no log.
   */
  async read(see: (record: AccessRecord) => void, anew: () => void): Promise<{ begins: number | undefined }> {
    const files = await this.#openOldestFirst();
    try {
      const known = files.findIndex(({ inode }) => inode === this.#position?.inode);
      if (known < 0) anew();
      let first: number | undefined;
      for (const [index, file] of files.slice(Math.max(0, known)).entries()) {
        const offset = known >= 0 && index === 0 ? (this.#position?.offset ?? 0) : 0;
        // If the file is shorter than what was read, it was truncated: read it from the start.
        const end = await readLines(file.handle, offset <= file.size ? offset : 0, (record) => {
          first ??= record.at;
          see(record);
        });
        this.#position = { inode: file.inode, offset: end };
      }
      return { begins: known < 0 && files.length > 1 ? first : undefined };
    } finally {
      for (const { handle } of files) await handle.close();
    }
  }

  /** Opens all files before reading any, so that a rotation meanwhile has no effect. */
  async #openOldestFirst(): Promise<LogFile[]> {
    const directory = dirname(this.#file);
    const name = basename(this.#file);
    const found: LogFile[] = [];
    for (const entry of await readdir(directory).catch(() => [])) {
      const age = entry === name ? '0' : entry.startsWith(`${name}.`) ? entry.slice(name.length + 1) : '';
      if (!/^\d+$/.test(age)) continue;
      const handle = await open(join(directory, entry)).catch(() => undefined);
      if (handle === undefined) continue; // Rotated away since the directory was read.
      const { ino, size } = await handle.stat({ bigint: true });
      // Renamed since the directory was read, and already open under its other name.
      if (found.some(({ inode }) => inode === ino)) await handle.close();
      else found.push({ handle, inode: ino, size: Number(size), age: Number(age) });
    }
    if (found.length > 0) return found.sort((a, b) => b.age - a.age);
    throw new OperationError(
      readingLog,
      `${this.#file} is missing`,
      `check the state of the balancer: ${greenlight('status')}`,
    );
  }
}

/** Reads complete lines from `start` on. Resolves to the offset after the last one. */
async function readLines(handle: FileHandle, start: number, see: (record: AccessRecord) => void): Promise<number> {
  const chunk = Buffer.alloc(chunkBytes);
  let end = start;
  let rest = Buffer.alloc(0);
  for (;;) {
    const { bytesRead } = await handle.read(chunk, 0, chunkBytes, end + rest.length);
    if (bytesRead === 0) return end;
    const data = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
    const whole = data.lastIndexOf(0x0a) + 1;
    for (const line of data.toString('utf8', 0, whole).split('\n')) {
      const record = parseAccessLine(line);
      if (record !== undefined) see(record);
    }
    rest = data.subarray(whole);
    end += whole;
  }
}

interface LogFile {
  handle: FileHandle;
  inode: bigint;
  size: number;
  /** 0: being written. 1: the previous file, and so on. */
  age: number;
}

const readingLog = "reading the balancer's log";

export const rotatedAway = (from: number, first: number): OperationError =>
  new OperationError(
    readingLog,
    `it begins at ${new Date(first).toISOString()}; the part since ${new Date(from).toISOString()} was rotated away`,
    'measure a shorter time, or make the supervisor keep more of balancer.log',
  );

/**
 * One line per request, written when the request has ended: `greenlight`, time of the end (ms since the epoch), colour,
 * service, kind, routed by, status, milliseconds from the first byte of the request to the last byte of the response,
 * termination state, synthetic, held, milliseconds from the first byte of the response to its last. Absent values are `-`. `held`: the request
 * ended during the write hold. The line has no personal data: no query strings, cookies or addresses.
 */
export const accessLogFormat = [
  'greenlight',
  '%[date(0,ms)]',
  '%[var(txn.colour)]',
  '%[var(txn.service)]',
  '%[var(txn.kind)]',
  '%[var(txn.by)]',
  '%ST',
  '%Ta',
  '%ts',
  '%[var(txn.synthetic)]',
  '%[var(txn.held)]',
  '%Td',
].join(' ');
