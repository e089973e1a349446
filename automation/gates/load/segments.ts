import { readFile } from 'node:fs/promises';
import { execa } from 'execa';
import { childEnvironment } from '../../../infra/lib/child-environment.ts';
import { endsWithParent } from '../../../infra/lib/lifetimes.ts';
import { toolPath } from '../../../infra/lib/tools.ts';
import { k6Command, k6Settings, type K6Command } from './k6-command.ts';

/** One segment of a load: a run of k6 that does its share of the iterations. */
export interface SegmentJob {
  /** `k6`, or `k6 2 of 4`. */
  name: string;
  command: K6Command;
  /** Absolute path; the summary's is in the command. */
  logFile: string;
  timeoutMs: number;
  signal: AbortSignal;
}

/** How a segment ended; its summary is in the command's `summaryFile` then. */
export interface SegmentOutcome {
  /** Undefined: it did not end by itself. */
  exitCode: number | undefined;
  end: 'ended' | 'stopped' | 'timeout' | 'killed';
  /** What is known of it, for messages: the signal, the log's last line. */
  detail: string;
}

/** Where segments run. */
export interface SegmentRunner {
  /** Time that the segments need until all are ready to begin, ms. */
  leadMs(count: number): number;
  /** Rejects if it cannot be run at all. */
  run(job: SegmentJob): Promise<SegmentOutcome>;
}

/** Segments as processes of this machine. */
export function processSegments(options: { program?: string; leadMs?: number } = {}): SegmentRunner {
  return {
    // Sign-ups of a set-up are slow on purpose, and here all segments do theirs at the same time.
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
