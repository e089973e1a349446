import { spawn, type ChildProcess } from 'node:child_process';
import { bareEnvironment } from '../../lib/child-environment.ts';
import { OperationError } from '../../lib/errors.ts';
import { freePorts } from '../../lib/free-ports.ts';
import { endsWithParent } from '../../lib/lifetimes.ts';
import { projectRoot } from '../../lib/paths.ts';
import { until } from '../../lib/poll.ts';
import type { IntegrationSpec } from '../../model.ts';
import { sessionVariables } from '../lib/process-environment.ts';
import { searchPath } from '../lib/layout.ts';

/** How long a stand-in may take to answer. */
const readyMs = 15_000;

/** Starts the stand-ins of integrations that have no URL, for a trial. Rejects with an OperationError if one does not answer. */
export async function startStandIns(
  integrations: readonly IntegrationSpec[],
): Promise<{ ports: Record<string, number>; stop(): Promise<void> }> {
  const wanted = integrations.filter(({ url, standIn }) => url === undefined && standIn !== undefined);
  const free = await freePorts(wanted.length);
  const children: ChildProcess[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(
      children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
        child.kill('SIGKILL');
        await gone;
      }),
    );
  };
  const ports: Record<string, number> = {};
  try {
    for (const [index, { name, standIn = [], health }] of wanted.entries()) {
      const port = free[index] as number;
      ports[name] = port;
      const [command = '', ...args] = endsWithParent(standIn, 'KILL');
      const own = { ...sessionVariables(), PATH: searchPath(), HOST: '127.0.0.1', PORT: String(port) };
      const child = spawn(command, args, { ...bareEnvironment(own), cwd: projectRoot(), stdio: 'ignore' });
      child.on('error', () => undefined);
      children.push(child);
      const doing = `starting the stand-in of ${name}`;
      const todo = `run it by hand, with HOST and PORT set: ${standIn.join(' ')}`;
      await until(
        async () => {
          if (child.exitCode !== null)
            throw new OperationError(doing, `it exited with exit code ${child.exitCode}`, todo);
          const answer = await fetch(`http://127.0.0.1:${port}${health}`, { signal: AbortSignal.timeout(2000) }).catch(
            () => undefined,
          );
          return (
            answer?.status === 200 || `${health}: ${answer === undefined ? 'no answer' : `status ${answer.status}`}`
          );
        },
        { everyMs: 100, timeoutMs: readyMs, doing, todo },
      );
    }
    return { ports, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
