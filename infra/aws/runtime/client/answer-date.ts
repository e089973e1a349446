/** Resolution of the `Date` header, ms: the true time is up to one second later. */
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
 * The time by AWS's clock, as those of the machines that release may differ: what the `Date` of the answer to a command says, in
 * ms since the epoch. NaN before it came.
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
