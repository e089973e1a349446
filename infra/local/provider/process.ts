import { z } from 'zod';
import type { Program } from '../supervisor/config.ts';
import { Supervisor } from '../supervisor/supervisor.ts';
import { intoBalance, outOfBalance, untilBalanced } from './balanced.ts';
import { layoutOf, place, type Handler } from './handler.ts';
import { resolveSecrets, secretFiles } from './secret-reference.ts';
import { readProgram, removeProgram, startProgram } from './supervised.ts';

const inputs = place.extend({
  /** `api.blue.1` */
  name: z.string().regex(/^[a-z][a-z0-9.-]*$/),
  /** What messages call it, `api 2.0.0`: an instance of the application. Absent: a program of the environment. */
  label: z.string().optional(),
  argv: z.array(z.string().min(1)).min(1),
  /** Values may contain references to secrets: see `secret-reference.ts`. */
  env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string()),
  /** Removes what the program leaves when it is killed: runs before each start and after each stop. */
  clear: z.array(z.string().min(1)).min(1).optional(),
  /** What else to do where it does not start. */
  advice: z.string().optional(),
  cwd: z.string().startsWith('/'),
  ready: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('none') }),
    z.strictObject({ kind: z.literal('tcp'), port: z.number().int() }),
    z.strictObject({
      kind: z.literal('http'),
      url: z.url(),
      caFile: z.string().optional(),
      statuses: z.array(z.number().int()).optional(),
      headers: z.record(z.string(), z.string()).optional(),
    }),
    z.strictObject({
      kind: z.literal('command'),
      argv: z.array(z.string()).min(1),
      within: z.array(z.string()).min(1).optional(),
      port: z.number().int(),
    }),
  ]),
  readySeconds: z.number().int().min(1),
  stopSignal: z.enum(['TERM', 'INT', 'QUIT', 'USR1']),
  stopSeconds: z.number().int().min(1),
  stopGroup: z.boolean(),
  /**
   * Whether the balancer has a server with this name. `create` then also waits until the balancer considers it healthy.
   */
  balanced: z.boolean(),
  /** Hashes of other files that it reads at its start, such as a certificate. */
  restartOn: z.array(z.string().regex(/^\S+$/)),
});
export type ProcessInputs = z.infer<typeof inputs>;

/** A supervised program. */
export const process: Handler<ProcessInputs> = {
  inputs,
  async create(of) {
    await startProgram(layoutOf(of), programOf(of));
    if (of.balanced) {
      await intoBalance(layoutOf(of), of.name);
      await untilBalanced(layoutOf(of), of.name);
    }
    return {};
  },
  async read(state) {
    return readProgram(layoutOf(state), state.name, () => programOf(state));
  },
  /** Where another instance of its service is healthy, no request notices that it is restarted. */
  async update(of) {
    const layout = layoutOf(of);
    const kept = await new Supervisor(layout).isWritten(programOf(of));
    if (of.balanced && !kept) await outOfBalance(layout, of.name, of.stopSeconds * 1000);
    try {
      return await process.create(of);
    } catch (error) {
      if (of.balanced) await intoBalance(layout, of.name).catch(() => undefined);
      throw error;
    }
  },
  async delete(state) {
    await removeProgram(layoutOf(state), state.name);
  },
};

function programOf({ environment, directory, balanced: _, ...program }: ProcessInputs): Program {
  const layout = layoutOf({ environment, directory });
  const env = Object.entries(program.env).map(([name, value]) => [name, resolveSecrets(layout, value)]);
  return {
    ...program,
    logMegabytes: 5,
    env: Object.fromEntries(env) as Record<string, string>,
    secretFiles: secretFiles(layout, Object.values(program.env)),
  };
}
