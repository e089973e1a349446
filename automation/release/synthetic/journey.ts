import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { childEnvironment } from '../../../infra/lib/child-environment.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import { endsWithParent } from '../../../infra/lib/lifetimes.ts';
import { poll } from '../../../infra/lib/poll.ts';
import { toolPath } from '../../../infra/lib/tools.ts';
import type { EntryPoint } from '../../../infra/platform/router.ts';
import { k6Command, k6Settings } from '../../gates/load/k6-command.ts';
import type { Running } from '../context/context.ts';
import { journeyHasBegun, recordAsked, runFiles, setUpMs } from './runs.ts';

/** The longest that marked traffic goes on if nobody ends it: a release that takes longer starts it again. */
const maxSeconds = 3_600;

/** Milliseconds between two looks at what the script has logged. */
const lookMs = 100;

export interface Journey extends Running {
  /**
   * Resolves when the journey has begun, and at the latest after `limitMs`: the gates judge what there is then. Rejects
   * with an OperationError where k6 has ended before, and at once where `signal` is aborted.
   */
  begun(signal: AbortSignal, limitMs?: number): Promise<void>;
}

/** Starts k6 with the marked traffic. Its files are written to `directory`. */
export function startJourney(run: {
  /** Absolute path. */
  script: string;
  /** Of the journey of routes. */
  paths?: readonly string[] | undefined;
  requestsPerSecond: number;
  entry: Pick<EntryPoint, 'baseUrl' | 'caFile'>;
  directory: string;
}): Journey {
  const { script, paths, requestsPerSecond, entry, directory } = run;
  const { argv, env } = k6Command({
    script,
    paths,
    baseUrl: entry.baseUrl,
    caFile: entry.caFile,
    rate: requestsPerSecond,
    durationSeconds: maxSeconds,
    routeHeaders: {},
    ...runFiles(directory),
  });
  // SIGINT, also from the system if this program is killed: k6 ends and writes its summary.
  const [program = '', ...args] = endsWithParent([toolPath('k6'), ...argv.slice(1)], 'INT');
  const asked = { requestsPerSecond, from: Date.now() };
  recordAsked(directory, asked);
  const logFile = join(directory, 'k6.log');
  // A file of k6's own and not a pipe: writing to a pipe would end k6 where this program was killed.
  const log = openSync(logFile, 'w', 0o600);
  const child = spawn(program, args, {
    ...childEnvironment({ ...env, K6_CONFIG: k6Settings }),
    stdio: ['ignore', 'ignore', log],
  });
  closeSync(log);
  let end: string | undefined;
  const ended = new Promise<void>((resolve) => {
    const endWith = (how: string) => {
      end = how;
      resolve();
    };
    child.once('exit', (code, signal) => endWith(signal ?? `exit code ${code}`));
    child.once('error', ({ message }) => endWith(message));
  });
  return {
    async begun(signal, limitMs = setUpMs) {
      const look = async () => {
        // Before the file is read: what k6 logs just before its end counts.
        const endedWith = end;
        return (await journeyHasBegun(directory)) ? 'begun' : endedWith;
      };
      const found = await poll(look, { everyMs: lookMs, timeoutMs: limitMs, signal });
      if (found === undefined || found === 'begun') return;
      const [said = ''] = readFileSync(logFile, 'utf8').trim().split('\n');
      throw new OperationError(
        'starting the marked traffic',
        `k6 ended before its journey began (${found}): ${said || 'it printed no message'}`,
        `correct what it names, then run the release again. k6's messages are in ${logFile}`,
      );
    },
    async stop() {
      const to = Math.min(Date.now(), asked.from + maxSeconds * 1000);
      child.kill('SIGINT');
      await ended;
      recordAsked(directory, { ...asked, to });
    },
  };
}
