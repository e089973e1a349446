import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { execa } from 'execa';
import { childEnvironment } from '../../../infra/lib/child-environment.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import { freePorts } from '../../../infra/lib/free-ports.ts';
import { poll } from '../../../infra/lib/poll.ts';
import { toolPath } from '../../../infra/lib/tools.ts';

/** Where a daemon answers, on loopback. */
export interface ZapDaemon {
  host: string;
  port: number;
  apiKey: string;
  /** Asks it to end by `shutdown`, and ends it by force if it does not. */
  stop(shutdown: () => Promise<unknown>): Promise<void>;
}

/** Seconds that a daemon gets to start: three on an idle machine, many more on a busy one. */
const startSeconds = 90;
const stopMs = 10_000;

/** Starts ZAP with a home of its own and a random API key. Throws an OperationError if it does not come up. */
export async function startZap(program = toolPath('zap')): Promise<ZapDaemon> {
  const home = await mkdtemp(join(tmpdir(), 'greenlight-zap-'));
  const host = '127.0.0.1';
  const [port = 0] = await freePorts(1);
  const apiKey = randomBytes(24).toString('hex');
  // In a file, as arguments can be seen by everybody on the machine.
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
    // Its group: the program is a script that starts Java.
    if (running && daemon.pid !== undefined) process.kill(-daemon.pid, 'SIGKILL');
  };
  // A program that ends early must not leave a daemon behind.
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
    early ? `it ended at once: ${last}` : `no answer within ${startSeconds} s`,
    'check its installation and Java: npm run doctor',
  );
}

async function answers(url: string, apiKey: string): Promise<boolean> {
  try {
    return (await fetch(url, { headers: { 'X-ZAP-API-Key': apiKey }, signal: AbortSignal.timeout(2000) })).ok;
  } catch {
    return false;
  }
}
