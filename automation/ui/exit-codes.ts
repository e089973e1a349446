import type { ReleaseVerdict } from '../journal/events.ts';

/** The exit codes of all commands; also documented in README.md. */
export const exitCodes = {
  /** Released, or the command succeeded. */
  go: 0,
  /** A mistake in the input, a missing tool, a stage that failed, or a damaged state. The message says what to do. */
  problem: 1,
  /** A gate did not pass. Traffic was not changed, or was moved back before the cutover. */
  noGo: 2,
  /** The new version went live and the old one is live again, or a read-only window was undone. */
  rolledBack: 3,
  /** The release was refused, or nobody approved it. */
  notApproved: 4,
  /** Another command holds the lock of the environment. */
  locked: 5,
  /** A defect of Greenlight (EX_SOFTWARE of sysexits.h). */
  bug: 70,
  /** Stopped by a signal, as a shell reports SIGINT. */
  interrupted: 130,
} as const;

/** The exit codes of `compare`: those of `cmp` and `diff`. */
export const comparisonCodes = {
  equal: 0,
  different: 1,
  /** Nothing is known: a mistake in the input, a server that cannot be reached, or something that could not be read. */
  unknown: 2,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** The exit code of a release that ended. `approvalRefused`: it stopped at the approval, not at a gate. */
export function exitCodeOf(verdict: ReleaseVerdict, approvalRefused = false): ExitCode {
  switch (verdict) {
    case 'go':
      return exitCodes.go;
    case 'no-go':
      return approvalRefused ? exitCodes.notApproved : exitCodes.noGo;
    case 'rolled-back':
      return exitCodes.rolledBack;
    case 'failed':
      return exitCodes.problem;
    case 'aborted':
      return approvalRefused ? exitCodes.notApproved : exitCodes.interrupted;
  }
}
