import { existsSync } from 'node:fs';
import { containerPids } from '../../containers/containers.ts';
import { OperationError } from '../../lib/errors.ts';
import type { Instances, InstanceState } from '../../platform/instances.ts';
import type { Layout } from '../lib/layout.ts';
import { clearFile } from '../supervisor/config.ts';
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
      const programs = await supervisor.list();
      const containers = programs.filter(({ name, pid }) => pid > 0 && existsSync(clearFile(supervisor.files, name)));
      const pids = await containerPids(
        layout.environment,
        containers.map(({ name }) => name),
      );
      return programs.map(({ name, state, pid, start }) => ({
        id: name,
        state: states[state],
        // That of a container is the command line of its engine.
        ...(pid > 0 ? { pid: pids.get(name) ?? pid, since: start * 1000 } : {}),
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
