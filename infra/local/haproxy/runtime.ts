import { connect } from 'node:net';
import { OperationError } from '../../lib/errors.ts';
import type { WriteInFlight } from '../../platform/router.ts';

/** Timeout for an answer, ms. It normally takes about a millisecond. */
const answerMs = 3000;

/**
 * Sends a command to HAProxy's runtime API, or several with semicolons between them, and resolves to the whole answer. `doing` starts
 * the error message.
 */
export function runtimeCommand(socket: string, command: string, doing: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (found: string, cause?: unknown) => {
      connection.destroy();
      reject(
        new OperationError(doing, found, 'see balancer.log in the logs of the environment, then restart the balancer', {
          cause,
        }),
      );
    };
    let answer = '';
    const connection = connect(socket, () => connection.end(`${command}\n`));
    connection.setEncoding('utf8');
    connection.setTimeout(answerMs, () => fail(`the balancer did not answer within ${answerMs} ms on ${socket}`));
    connection.on('data', (text: string) => (answer += text));
    connection.on('error', (error) => fail(`the balancer does not answer on ${socket} (${error.message})`, error));
    connection.on('end', () => resolve(answer));
  });
}

/** Parses the answer to `show map`: lines of `<address> <key> <value>`. */
export function parseShowMap(answer: string): Map<string, string> {
  const entries = new Map<string, string>();
  for (const line of answer.split('\n')) {
    const [address, key, ...value] = line.trim().split(' ');
    if (address?.startsWith('0x') && key !== undefined) entries.set(key, value.join(' '));
  }
  return entries;
}

/** Parses the answer to `show stat`, or to several: CSV from the line on that starts with `# `. Values have no quoted commas. */
export function parseShowStat(answer: string): Record<string, string>[] {
  const all = answer.split('\n').filter((line) => line !== '');
  const [header, ...lines] = all.slice(all.findIndex((line) => line.startsWith('# ')));
  if (header?.startsWith('# ') !== true) return [];
  const names = header.slice(2).split(',');
  return lines
    .filter((line) => !line.startsWith('# '))
    .map((line) => {
      const values = line.split(',');
      return Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']));
    });
}

/**
 * Parses the answer to `show table` of the writes under way, the oldest first. `now`: ms since the epoch. `servers`: what
 * `parseStreams` found.
 */
export function parseWrites(
  answer: string,
  now: number,
  servers: ReadonlyMap<string, string>,
): (WriteInFlight & { colour: string })[] {
  return [...answer.matchAll(/ key=(\S+) use=.* conn_cur=[1-9]/g)]
    .map(([, key = '']) => {
      const [colour = '', at, stream = '', service = '', method = '', ...path] = key
        .replaceAll(/\\(.)/g, '$1')
        .split('|');
      const instance = /\.(\d+)$/.exec(servers.get(stream) ?? '')?.[1];
      return {
        colour,
        service,
        ...(instance === undefined ? {} : { instance: Number(instance) }),
        method,
        path: path.join('|'),
        ms: Math.max(0, now - Number(at)),
      };
    })
    .sort((a, b) => b.ms - a.ms);
}

/** The server of each stream that has one, by the stream's number, from an answer to `show sess all`. */
export function parseStreams(answer: string): Map<string, string> {
  return new Map(
    answer.split(/^(?=0x)/m).flatMap((stream) => {
      const id = /\] id=(\d+) /.exec(stream)?.[1];
      const server = /^ +server=(\S+) /m.exec(stream)?.[1];
      return id === undefined || server === undefined ? [] : [[id, server] as const];
    }),
  );
}

/** A request that was passed to a backend and has no response header yet. */
export interface Waiting {
  backend: string;
  /** Age of the request in whole seconds. */
  seconds: number;
}

const secondsPer: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Of an age as `show sess` has it, such as `1h2m3s`. */
const secondsOf = (age: string): number =>
  [...age.matchAll(/(\d+)([smhd])/g)].reduce((sum, [, n, unit]) => sum + Number(n) * (secondsPer[unit ?? ''] ?? 0), 0);

/**
 * Requests still waiting for a response header, from an answer to `show sess all`. Streaming responses and tunnels are
 * excluded.
 */
export function parseWaiting(answer: string): Waiting[] {
  return answer.split(/^(?=0x)/m).flatMap((stream) => {
    const backend = /^ +backend=(\S+)/m.exec(stream)?.[1];
    const age = /\bage=(\w+)/.exec(stream)?.[1];
    if (backend === undefined || age === undefined || !stream.includes('rsp.st=MSG_RPBEFORE')) return [];
    return [{ backend, seconds: secondsOf(age) }];
  });
}

/** Number of old workers that are still running after a reload, from the master's answer to `show proc`. */
export function countOldWorkers(answer: string): number {
  const [, old = ''] = answer.split('# old workers');
  return old.split('\n').filter((line) => /^\d+\s+worker\s/.test(line)).length;
}

/** A session with a server, from an answer to `show sess`. */
export interface Session {
  /** By which it is ended. */
  id: string;
  backend: string;
  /** Age in whole seconds. */
  seconds: number;
}

/** The sessions that have a backend, from an answer to `show sess`. */
export function parseSessions(answer: string): Session[] {
  return [...answer.matchAll(/^(0x[0-9a-f]+): .* be=(\S+) .* age=(\w+) /gm)].map(
    ([, id = '', backend = '', age = '']) => ({
      id,
      backend,
      seconds: secondsOf(age),
    }),
  );
}
