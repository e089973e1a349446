import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { accessSync, constants } from 'node:fs';
import { createServer } from 'node:net';
import { constants as os } from 'node:os';
import { delimiter, dirname, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { endsWithParent } from '../../infra/lib/lifetimes.ts';
import { freePorts } from '../../infra/lib/free-ports.ts';

/** Stand-in for a container: a process group in the image's directory. */
export interface Container {
  pid: number;
  /** Exit code as of a container: 128 plus the signal's number if a signal ended it. */
  ended: Promise<number>;
  /** Sends SIGTERM, and after `graceMs` SIGKILL to the whole group. */
  stop(graceMs: number): void;
}

export interface ContainerArgs {
  argv: string[];
  directory: string;
  env: Record<string, string>;
  line: (text: string) => void;
}

/** PATH of a container: the project's Node first, as in the image. */
export const containerPath = [dirname(process.execPath), '/usr/local/bin', '/usr/bin', '/bin'].join(delimiter);

/** Functions that kill the running containers. One exit listener for all, because Node warns about more than a few. */
const running = new Set<() => void>();
process.once('exit', () => running.forEach((end) => end()));

/** Throws an Error if the program does not exist, in which case a container would not start either. */
export function startContainer({ argv, directory, env, line }: ContainerArgs): Container {
  const [program = ''] = argv;
  if (!isProgram(program, directory)) throw new Error(`exec: "${program}": executable file not found in $PATH`);
  const [command = '', ...args] = endsWithParent(argv, 'KILL');
  // A process group of its own, so that child processes end with it, as in a container.
  const child = spawn(command, args, { cwd: directory, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const pid = child.pid ?? 0;
  const kill = (signal: NodeJS.Signals): void => {
    try {
      if (pid !== 0) process.kill(-pid, signal);
    } catch {
      // The group has already ended.
    }
  };
  const end = () => kill('SIGKILL');
  running.add(end);
  const read = Promise.all([child.stdout, child.stderr].map((stream) => lines(stream, line)));
  let timer: NodeJS.Timeout | undefined;
  const ended = new Promise<number>((done) => {
    child.once('error', () => done(127));
    child.once('exit', (code, signal) => done(code ?? 128 + (signal === null ? 0 : os.signals[signal])));
  }).then(async (code) => {
    kill('SIGKILL');
    clearTimeout(timer);
    running.delete(end);
    await read;
    return code;
  });
  return {
    pid,
    ended,
    stop: (graceMs) => {
      if (timer !== undefined) return;
      if (pid !== 0) process.kill(pid, 'SIGTERM');
      timer = setTimeout(end, graceMs);
    },
  };
}

async function lines(stream: Readable, line: (text: string) => void): Promise<void> {
  for await (const text of createInterface({ input: stream, crlfDelay: Infinity })) line(text);
}

function isProgram(program: string, directory: string): boolean {
  const places = program.includes('/')
    ? [resolve(directory, program)]
    : containerPath.split(delimiter).map((place) => resolve(place, program));
  return places.some((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Addresses assigned by this process. Needed because a starting task does not listen yet. */
const given = new Set<string>();

/**
 * An address for a task of its own, so that the container's port can be used. Linux has all of 127.0.0.0/8 on loopback.
 * Elsewhere, or if the port is taken on all tried addresses, it is 127.0.0.1 with a free port.
 */
export async function taskAddress(containerPort: number): Promise<{ host: string; port: number }> {
  for (let tries = 0; process.platform === 'linux' && tries < 5; tries += 1) {
    const host = `127.${randomInt(32, 128)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
    if (given.has(host) || !(await canListen(host, containerPort))) continue;
    given.add(host);
    return { host, port: containerPort };
  }
  return { host: '127.0.0.1', port: (await freePorts(1))[0] as number };
}

const canListen = (host: string, port: number): Promise<boolean> =>
  new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => done(true)));
  });
