import { Supervisor } from '../supervisor/supervisor.ts';
import type { Program } from '../supervisor/config.ts';
import type { Layout } from '../lib/layout.ts';
import type { Found } from './handler.ts';

/** What all resources that are a supervised program have in common. */

/** Starts it and waits until it is ready; takes a new one that does not get ready away again. */
export async function startProgram(layout: Layout, program: Program): Promise<void> {
  const supervisor = new Supervisor(layout);
  const isNew = (await supervisor.state(program.name)) === undefined;
  try {
    await supervisor.put(program);
  } catch (error) {
    if (isNew) await supervisor.remove(program.name);
    throw error;
  }
}

/** `define`: what it should be; it may throw where files that it is made of are gone. */
export async function readProgram(layout: Layout, name: string, define: () => Program): Promise<Found> {
  const supervisor = new Supervisor(layout);
  const state = await supervisor.state(name);
  if (state === undefined) return 'absent';
  try {
    if (!(await supervisor.isWritten(define()))) return { drift: "the supervisor's files of it were changed" };
  } catch (error) {
    return { drift: (error as Error).message };
  }
  const runs = state.state === 'RUNNING' || state.state === 'STARTING';
  return runs ? 'as recorded' : { drift: `it does not run: ${state.state.toLowerCase()}` };
}

export async function removeProgram(layout: Layout, name: string): Promise<void> {
  await new Supervisor(layout).remove(name);
}
