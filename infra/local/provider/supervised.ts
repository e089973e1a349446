import { Supervisor } from '../supervisor/supervisor.ts';
import type { Program } from '../supervisor/config.ts';
import type { Layout } from '../lib/layout.ts';
import type { Found } from './handler.ts';

/** Starts a program and waits until it is ready. A new program that does not become ready is removed again. */
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

/**
 * Compares a supervised program with its definition. `define` may throw if a file that it needs is missing: that is
 * drift.
 */
export async function readProgram(layout: Layout, name: string, define: () => Program): Promise<Found> {
  const supervisor = new Supervisor(layout);
  const state = await supervisor.state(name);
  if (state === undefined) return 'absent';
  try {
    if (!(await supervisor.isWritten(define()))) return { drift: "the supervisor's files for it were changed" };
  } catch (error) {
    return { drift: (error as Error).message };
  }
  const runs = state.state === 'RUNNING' || state.state === 'STARTING';
  return runs ? 'as recorded' : { drift: `it is not running: ${state.state.toLowerCase()}` };
}

export async function removeProgram(layout: Layout, name: string): Promise<void> {
  await new Supervisor(layout).remove(name);
}
