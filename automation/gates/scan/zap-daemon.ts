import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { execa } from 'execa';
import { childEnvironment } from '../../../infra/lib/child-environment.ts';
import { greenlight } from '../../../infra/lib/command.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import { freePorts } from '../../../infra/lib/free-ports.ts';
import { poll } from '../../../infra/lib/poll.ts';
import { toolPath } from '../../../infra/lib/tools.ts';

/** A running ZAP daemon and the address of its API, on loopback. */
export interface ZapDaemon {
  host: string;
  port: number;
  apiKey: string;
  /** Calls `shutdown`, and kills the daemon if it is still running after 10 s. */
  stop(shutdown: () => Promise<unknown>): Promise<void>;
}

/** Longest time for the start, seconds. It takes about three on an idle machine and many more on a busy one. */
const startSeconds = 90;
const stopMs = 10_000;

/** Starts ZAP with a temporary home folder and a random API key. Throws an OperationError if it does not start. */
export async function startZap(program = toolPath('zap')): Promise<ZapDaemon> {
  const home = await mkdtemp(join(tmpdir(), 'greenlight-zap-'));
  const host = '127.0.0.1';
  const [port = 0] = await freePorts(1);
  const apiKey = randomBytes(24).toString('hex');
  // The key is in a file, because every user of the machine can see a program's arguments.
  const settings = join(home, 'greenlight.properties');
  await writeFile(settings, `api.key=${apiKey}\n`, { mode: 0o600 });
  const daemon = execa(
    program,
    ['-daemon', '-silent', '-dir', home, '-host', host, '-port', String(port), '-configfile', settings],
    {
      ...childEnvironment({}, ['JAVA_HOME']),
      stdin: 'ignore',
      all: true,
      reject: false,
      forceKillAfterDelay: stopMs,
      detached: true,
    },
  );
  let running = true;
  const ended = daemon.then((result) => {
    running = false;
    return result;
  });
  const kill = () => {
    // The whole process group: the program is a script that starts Java.
    if (running && daemon.pid !== undefined) process.kill(-daemon.pid, 'SIGKILL');
  };
  // If this process exits early, the daemon must not be left behind.
  process.once('exit', kill);
  const stop = async (shutdown: () => Promise<unknown>): Promise<void> => {
    if (running) {
      await shutdown().catch(() => undefined);
      await Promise.race([ended, setTimeout(stopMs, undefined, { ref: false })]);
      kill();
      await ended;
    }
    process.off('exit', kill);
    await rm(home, { recursive: true, force: true });
  };
  const url = `http://${host}:${port}/JSON/core/view/version/`;
  const look = async () => (running ? (await answers(url, apiKey)) || undefined : false);
  if (await poll(look, { everyMs: 250, timeoutMs: startSeconds * 1000 })) return { host, port, apiKey, stop };
  const early = !running;
  await stop(() => Promise.resolve(kill()));
  const { all } = await ended;
  const last =
    String(all ?? '')
      .trim()
      .split('\n')
      .at(-1) ?? '';
  throw new OperationError(
    'starting ZAP',
    early ? `it ended during its start: ${last}` : `no answer within ${startSeconds} s`,
    `check its installation and Java: ${greenlight('doctor')}`,
  );
}

async function answers(url: string, apiKey: string): Promise<boolean> {
  try {
    return (await fetch(url, { headers: { 'X-ZAP-API-Key': apiKey }, signal: AbortSignal.timeout(2000) })).ok;
  } catch {
    return false;
  }
}
