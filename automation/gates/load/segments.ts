import { readFile } from 'node:fs/promises';
import { execa } from 'execa';
import { childEnvironment } from '../../../infra/lib/child-environment.ts';
import { endsWithParent } from '../../../infra/lib/lifetimes.ts';
import { toolPath } from '../../../infra/lib/tools.ts';
import { k6Command, k6Settings, type K6Command } from './k6-command.ts';

/** One segment of a load: a run of k6 that executes its share of the iterations. */
export interface SegmentJob {
  /** `k6`, or `segment 2 of 4`. */
  name: string;
  command: K6Command;
  /** Absolute path. */
  logFile: string;
  timeoutMs: number;
  signal: AbortSignal;
}

/** How a segment ended. If it ended by itself, its summary is in the command's `summaryFile`. */
export interface SegmentOutcome {
  /** Undefined if it did not end by itself. */
  exitCode: number | undefined;
  end: 'ended' | 'stopped' | 'timeout' | 'killed';
  /** For messages: the signal, or the last line of the log. */
  detail: string;
}

/** Where segments run. */
export interface SegmentRunner {
  /** Time from now until all segments are ready to begin, ms. */
  leadMs(count: number): number;
  /** Rejects if the segment cannot be started. */
  run(job: SegmentJob): Promise<SegmentOutcome>;
}

/** Segments as processes of this machine. */
export function processSegments(options: { program?: string; leadMs?: number } = {}): SegmentRunner {
  return {
    // A set-up signs users up, which hashes passwords and is slow. All segments do it at the same time on one machine.
    leadMs: (count) => options.leadMs ?? 5000 + 1000 * count,
    async run({ command, logFile, timeoutMs, signal }) {
      const { argv, env } = k6Command(command);
      const [program = '', ...args] = endsWithParent([options.program ?? toolPath('k6'), ...argv.slice(1)], 'KILL');
      const k6 = await execa(program, args, {
        ...childEnvironment({ ...env, K6_CONFIG: k6Settings }),
        stdin: 'ignore',
        stdout: { file: logFile },
        stderr: { file: logFile },
        timeout: timeoutMs,
        forceKillAfterDelay: 5000,
        cancelSignal: signal,
        reject: false,
      });
      const end = k6.isCanceled ? 'stopped' : k6.timedOut ? 'timeout' : k6.exitCode === undefined ? 'killed' : 'ended';
      const detail = end === 'killed' ? (k6.signal ?? k6.shortMessage ?? 'no exit code') : await lastLine(logFile);
      return { exitCode: k6.exitCode, end, detail };
    },
  };
}

async function lastLine(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.trim().split('\n').at(-1)?.slice(0, 300) ?? '';
}
