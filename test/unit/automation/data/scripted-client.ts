import type pg from 'pg';

/** Answers of a session: the first pattern that a statement matches gives its rows, or the error that it fails with. */
export type Script = readonly (readonly [pattern: RegExp, answer: readonly object[] | Error])[];

/** A session that answers by a script; any other statement has no rows. `seen` are the statements that it got. */
export function scriptedClient(script: Script): { client: pg.Client; seen: string[] } {
  const seen: string[] = [];
  const query = (sql: string): Promise<unknown> => {
    seen.push(sql);
    const answer = script.find(([pattern]) => pattern.test(sql))?.[1] ?? [];
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve({ rows: answer });
  };
  return { client: { query } as unknown as pg.Client, seen };
}
