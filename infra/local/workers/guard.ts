import { parseArgs } from 'node:util';
import { messageOf } from '../../lib/errors.ts';
import { Guard } from './guarded.ts';
import type { GuardSettings } from './settings.ts';

/**
 * Program: the guard of one worker or schedule. It runs the command only while `workers.json` names its colour, and says in its record
 * what it does. On SIGTERM it ends the command, and then itself.
 */
const { values } = parseArgs({ options: { settings: { type: 'string' } } });
const guard = new Guard(JSON.parse(values.settings ?? '{}') as GuardSettings);
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => guard.end());
await guard.work().catch((error: unknown) => {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
});
// A watch of the directory would keep this program up.
process.exit();
