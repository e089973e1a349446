/**
 * What kind of failure an error is, where something decides by it, or a person looks it up. Control flow asks for the code
 * and never for the wording of a message.
 */
export type ErrorCode =
  /** No kind of its own: the message says everything. */
  | 'failed'
  /** The credentials of the caller ended while they were used: nothing can be undone with them either. */
  | 'credentials-expired'
  /** A database could not be reached, or refused the session. */
  | 'unreachable'
  /** A condition was not met within its time. */
  | 'timeout'
  /** Another process listens on the port that a server was to get: another port helps. */
  | 'port-in-use';

/** What to do about a failure whose words are known, and what kind it is. */
export interface Cure {
  todo: string;
  code?: ErrorCode;
}

/**
 * An error that a person can act on: what was being done, what was found, what to do. Printed without a stack trace.
 * `message` is the three in one line each.
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

/** Whether something that was thrown is an OperationError of this kind. */
export const hasCode = (error: unknown, code: ErrorCode): boolean =>
  error instanceof OperationError && error.code === code;

/** What to say of anything that was thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
