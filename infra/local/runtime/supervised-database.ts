import type { Colour } from '../../model.ts';
import type { Layout } from '../lib/layout.ts';
import type { ServerControl } from '../postgres/clone.ts';
import { nameOf } from '../provider/cluster.ts';
import { Supervisor } from '../supervisor/supervisor.ts';

/** Starts and stops the server of a colour where the stack of the colour has put it. What the engine recorded of it stays true. */
export function supervisedDatabase(layout: Layout, colour: Colour): ServerControl {
  const supervisor = new Supervisor(layout);
  const name = nameOf({ colour });
  return { start: () => supervisor.startProgram(name), stop: () => supervisor.stopProgram(name) };
}
