/**
 * The kind of a failure, for code that handles it and for people who look it up. Control flow tests the code, never the
 * wording of a message.
 */
export type ErrorCode =
  /** No specific kind. */
  | 'failed'
  /** The caller's credentials expired during use, so nothing can be undone with them either. */
  | 'credentials-expired'
  /** A database could not be reached or refused the session. */
  | 'unreachable'
  /** A condition was not met within its time. */
  | 'timeout'
  /** A repeat fails in the same way, until somebody changes something. */
  | 'lasting'
  /** The old colour's database is out of reach, so the release can neither go on nor back. */
  | 'no-way-back'
  /** Another process listens on the port that a server needs. Trying another port helps. */
  | 'port-in-use';

/** Advice for a known error message, and the kind of the failure. */
export interface Cure {
  todo: string;
  code?: ErrorCode;
}

/**
 * An error that a person can act on: what was being done, what was found, what to do. It is printed without a stack
 * trace. `message` is two lines: `<doing>: <found>`, then the indented `<todo>`.
 */
export class OperationError extends Error {
  readonly doing: string;
  readonly found: string;
  readonly todo: string;
  readonly code: ErrorCode;

  constructor(doing: string, found: string, todo: string, options: ErrorOptions & { code?: ErrorCode } = {}) {
    super(`${doing}: ${found}\n  ${todo}`, options);
    this.name = 'OperationError';
    this.doing = doing;
    this.found = found;
    this.todo = todo;
    this.code = options.code ?? 'failed';
  }
}

/** Whether a thrown value is an OperationError of this kind. */
export const hasCode = (error: unknown, code: ErrorCode): boolean =>
  error instanceof OperationError && error.code === code;

/** The message of any thrown value. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
