import { OperationError } from '../../lib/errors.ts';
import type { Instances, InstanceState } from '../../platform/instances.ts';
import type { Layout } from '../lib/layout.ts';
import { Supervisor, type ProgramState } from '../supervisor/supervisor.ts';

const states: Record<ProgramState['state'], InstanceState['state']> = {
  RUNNING: 'running',
  STARTING: 'starting',
  // Ended by itself, and is started again after a while.
  BACKOFF: 'failed',
  FATAL: 'failed',
  EXITED: 'failed',
  UNKNOWN: 'failed',
  STOPPING: 'stopped',
  STOPPED: 'stopped',
};

/** Everything that the environment's supervisor runs, under the names of the programs. */
export function createLocalInstances(layout: Layout): Instances {
  const supervisor = new Supervisor(layout);
  const known = async (id: string, doing: string): Promise<void> => {
    if ((await supervisor.state(id)) !== undefined) return;
    const names = (await supervisor.list()).map(({ name }) => name);
    const todo = names.length === 0 ? 'bring the environment up first' : `use one of ${names.join(', ')}`;
    throw new OperationError(`${doing} ${id}`, `${layout.environment} runs no instance of that name`, todo);
  };
  return {
    async list() {
      return (await supervisor.list()).map(({ name, state, pid, start }) => ({
        id: name,
        state: states[state],
        ...(pid > 0 ? { pid, since: start * 1000 } : {}),
      }));
    },
    async stop(id) {
      await known(id, 'stopping');
      await supervisor.stopProgram(id);
    },
    async start(id) {
      await known(id, 'starting');
      await supervisor.startProgram(id);
    },
  };
}
