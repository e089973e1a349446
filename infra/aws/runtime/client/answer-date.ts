/** Resolution of the `Date` header, ms: the true time is up to this much later. */
export const dateMs = 1000;

/** A command of any client of the SDK. */
interface Command {
  middlewareStack: {
    add(
      middleware: <A, R extends { response: unknown }>(next: (args: A) => Promise<R>) => (args: A) => Promise<R>,
      options: { step: 'deserialize'; name: string; priority: 'low' },
    ): void;
  };
}

/**
 * AWS's clock, used because the clocks of releasing machines may differ. Returns a function for the `Date` header of
 * the answer to this command, in ms since the epoch; NaN before the answer, or without the header. Call it before the
 * command is sent.
 */
export function dateOfAnswer({ middlewareStack }: Command): () => number {
  let date: string | undefined;
  middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      date = (result.response as { headers?: Record<string, string> }).headers?.['date'];
      return result;
    },
    { step: 'deserialize', name: 'dateOfAnswer', priority: 'low' },
  );
  return () => Date.parse(date ?? '');
}
