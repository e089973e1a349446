/**
 * An error that a person can act on: what was being done, what was found, what to do. Printed without a stack trace.
 * `message` is the three in one line each.
 */
export class OperationError extends Error {
  readonly doing: string;
  readonly found: string;
  readonly todo: string;

  constructor(doing: string, found: string, todo: string, options?: ErrorOptions) {
    super(`${doing}: ${found}\n  ${todo}`, options);
    this.name = 'OperationError';
    this.doing = doing;
    this.found = found;
    this.todo = todo;
  }
}

/** What to say of anything that was thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
