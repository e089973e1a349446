import type { Colour } from '../../model.ts';
import type { ScheduleTimes } from './times.ts';

/** What a guard is told, as JSON in its argument. */
export interface GuardSettings {
  /** `mail.green.1` */
  name: string;
  colour: Colour;
  /** Program and arguments of the command. It runs in the guard's directory. */
  argv: string[];
  /** Removes the container that `argv` runs. Absent: it runs none. */
  clear?: string[];
  /** Seconds between SIGTERM and SIGKILL. */
  stopSeconds: number;
  /** Absent: a worker, which runs as long as it may. */
  schedule?: ScheduleTimes & { timeoutSeconds: number };
  /** `workers.json` */
  turnFile: string;
  recordFile: string;
}

/** Prefix of the variables that are the command's. Without it some, such as NODE_OPTIONS, would change the guard. */
export const commandPrefix = 'COMMAND_';
