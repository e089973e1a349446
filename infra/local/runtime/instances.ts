import { OperationError } from '../../lib/errors.ts';
import type { Instances, InstanceState } from '../../platform/instances.ts';
import type { Layout } from '../lib/layout.ts';
import { Supervisor, type ProgramState } from '../supervisor/supervisor.ts';

const states: Record<ProgramState['state'], InstanceState['state']> = {
  RUNNING: 'running',
  STARTING: 'starting',
  // Exited; supervisord starts it again after a delay.
  BACKOFF: 'failed',
  FATAL: 'failed',
  EXITED: 'failed',
  UNKNOWN: 'failed',
  STOPPING: 'stopped',
  STOPPED: 'stopped',
};

/** The programs of the environment's supervisor. The id of an instance is the name of its program. */
export function createLocalInstances(layout: Layout): Instances {
  const supervisor = new Supervisor(layout);
  const known = async (id: string, doing: string): Promise<void> => {
    if ((await supervisor.state(id)) !== undefined) return;
    const names = (await supervisor.list()).map(({ name }) => name);
    const todo = names.length === 0 ? 'bring the environment up first' : `use one of ${names.join(', ')}`;
    throw new OperationError(`${doing} ${id}`, `${layout.environment} has no instance with that name`, todo);
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
