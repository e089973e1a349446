import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { freePorts } from '../../infra/lib/free-ports.ts';
import { toolPath } from '../../infra/lib/tools.ts';

/** Moto's default account. */
export const accountId = '123456789012';

export interface Moto {
  /** `http://127.0.0.1:<port>` of moto itself, without hooks. */
  endpoint: string;
  close(): Promise<void>;
}

const startMs = 60_000;

/** Starts moto on a free port, as a child of this process, and waits until it answers. */
export async function startMoto(program = toolPath('moto_server')): Promise<Moto> {
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  // A minimal environment, so that no other setting for AWS makes moto call AWS itself.
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], TMPDIR: process.env['TMPDIR'] };
  const child = spawn(program, ['-H', '127.0.0.1', '-p', String(port)], { stdio: ['ignore', 'ignore', 'pipe'], env });
  // Only the end of its output is kept, to explain a failed start.
  let said = '';
  child.stderr.on('data', (data: Buffer) => (said = (said + data.toString()).slice(-4000)));
  const ended = once(child, 'exit');
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  const close = async () => {
    process.off('exit', end);
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    const timer = setTimeout(end, 5000);
    await ended;
    clearTimeout(timer);
  };
  const deadline = Date.now() + startMs;
  while (!(await answers(endpoint))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await close();
      throw new Error(`moto did not start on port ${port}:\n${said}`);
    }
    await delay(100);
  }
  return { endpoint, close };
}

const answers = (endpoint: string): Promise<boolean> =>
  fetch(`${endpoint}/moto-api/data.json`, { signal: AbortSignal.timeout(5000) }).then(
    async (response) => {
      await response.arrayBuffer();
      return response.ok;
    },
    () => false,
  );

/** A port of 127.0.0.1 that only this process uses. */
export const freePort = async (): Promise<number> => (await freePorts(1))[0] as number;
