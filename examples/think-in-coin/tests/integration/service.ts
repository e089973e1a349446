import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { once } from 'node:events';

export interface Service {
  url: string;
  process: ChildProcess;
  stop(): Promise<number | null>;
}

/** Starts a program of this artefact on a free port; resolves when it listens. */
export async function start(program: string, env: Record<string, string> = {}): Promise<Service> {
  const child = spawn(process.execPath, [program], {
    env: { ...process.env, HOST: '127.0.0.1', PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  const first = once(createInterface({ input: child.stdout }), 'line').then(([line]) => String(line));
  const line = await Promise.race([
    first,
    ended.then((code) => Promise.reject(new Error(`${program} ended with ${code}`))),
  ]);
  child.stdout.resume();
  const { port } = JSON.parse(line) as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    process: child,
    stop: () => {
      child.kill('SIGTERM');
      return ended;
    },
  };
}
