import { z } from 'zod';
import { argv, environmentVariable, name } from './scalars.ts';

/** Where the secrets of the application come from. */

export const secretSource = z.discriminatedUnion(
  'from',
  [
    z.strictObject({
      from: z.literal('file'),
      path: z.string().min(1).describe('relative to the project, or absolute'),
    }),
    z.strictObject({ from: z.literal('env'), variable: environmentVariable.describe("of the caller's shell") }),
    z.strictObject({
      from: z.literal('command'),
      command: argv.describe("prints the value; run at the project's root, with the caller's environment"),
      timeoutSeconds: z.number().int().min(1).max(600).default(30),
    }),
  ],
  { error: "give { from: 'file', path }, { from: 'env', variable } or { from: 'command', command }" },
);
export type SecretSource = z.output<typeof secretSource>;

export const secretSources = z.record(name, secretSource).default({});
