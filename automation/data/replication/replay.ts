import { withClient } from '../connect.ts';
import type { Link } from '../link.ts';
import { followPartitions, isPartitionJob } from './partitions.ts';
import { replay, statementsFor } from './replay-statements.ts';
import { compareSchemas, type SchemaCompared, type SchemaDrift } from './schema-drift.ts';

/**
 * Changes of the live schema that are repeated on the side that follows. Only those that touch no row and take back nothing that an
 * expand migration did: another body of a function or a view, grants, comments, settings, values of an enum, partitions.
 */

/** A replayed change can bring others to light: REVOKE on a table takes rights on its columns, too. */
const rounds = 3;

/** Repeats what can be repeated, and compares again. `before`: called with what will be repeated. */
export async function replayChanges(
  link: Link,
  before: (drifts: SchemaDrift[], replay: () => Promise<void>) => Promise<void>,
): Promise<SchemaCompared> {
  return withClient(link.from.access, 'admin', (source) =>
    withClient(link.to.access, 'admin', async (target) => {
      for (let round = 0; ; round += 1) {
        const compared = await compareSchemas(link, source, target);
        const safe = compared.drifts.filter(
          (drift) => isPartitionJob(drift, link) || statementsFor(drift, link) !== undefined,
        );
        if (safe.length === 0 || round === rounds) return compared;
        await before(safe, async () => {
          if (safe.some((drift) => isPartitionJob(drift, link))) await followPartitions(link, source, target);
          for (const drift of safe) await replay(target, statementsFor(drift, link) ?? []);
        });
      }
    }),
  );
}
