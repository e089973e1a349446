import { OperationError, messageOf } from '../../../infra/lib/errors.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { runSingle, withClient } from '../connect.ts';

/** Timeout of one invariant, ms. */
const invariantMs = 60_000;

/**
 * Counts the rows that break each invariant of the release definition; 0 means that it holds. Read-only, and returns no
 * value of a row. Throws an OperationError that names an invariant whose SQL fails, times out or holds several statements.
 */
export async function checkInvariants(
  access: DatabaseAccess,
  invariants: readonly { name: string; sql: string }[],
): Promise<{ name: string; rows: number }[]> {
  return await withClient(
    access,
    'owner',
    async (client) => {
      const results: { name: string; rows: number }[] = [];
      for (const { name, sql } of invariants) {
        await client.query('BEGIN READ ONLY');
        try {
          const query = `SELECT count(*) AS rows FROM (${sql.replace(/;\s*$/, '')}\n) AS broken`;
          const result = await runSingle(client, query);
          results.push({ name, rows: Number((result.rows as { rows: string }[])[0]?.rows ?? 0) });
        } catch (error) {
          throw new OperationError(
            `checking the invariant ${name}`,
            messageOf(error),
            'correct its SQL in data.invariants',
            { cause: error },
          );
        } finally {
          await client.query('ROLLBACK');
        }
      }
      return results;
    },
    { statementMs: invariantMs },
  );
}
