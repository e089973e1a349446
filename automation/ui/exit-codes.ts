import type { ReleaseVerdict } from '../journal/events.ts';

/** What a program that calls Greenlight learns from its exit code. */
export const exitCodes = {
  /** Released, or the command did what it was asked. */
  go: 0,
  /** The user's mistake, a missing tool, or a stage that broke: the message says what to do. */
  problem: 1,
  /** A gate did not pass; traffic is where it was. */
  noGo: 2,
  /** The new version went live and the old one is live again. */
  rolledBack: 3,
  /** Nobody approved, or somebody refused. */
  notApproved: 4,
  /** Another release has the environment. */
  locked: 5,
  /** A defect of Greenlight (EX_SOFTWARE of sysexits.h). */
  bug: 70,
  /** Stopped by a signal, as a shell reports SIGINT. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** The exit code of a release that ended; `approvalRefused` tells that kind of no-go from a gate's. */
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
