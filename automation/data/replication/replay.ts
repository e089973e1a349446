import type pg from 'pg';
import { withClient } from '../connect.ts';
import { carryPasswords, otherPasswords } from '../copying/roles.ts';
import type { Link } from '../link.ts';
import { followPartitions, isPartitionJob } from './partitions.ts';
import { replay, statementsFor } from './replay-statements.ts';
import { compareSchemas, type SchemaCompared, type SchemaDrift } from './schema-drift.ts';

/**
 * Changes of the live schema that are repeated on the side that follows. Only those that touch no row and take back nothing that an
 * expand migration did: another body of a function or a view, grants, comments, settings, values of an enum, partitions,
 * passwords of users' roles.
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
        const { objects, drifts } = await compareSchemas(link, source, target);
        const compared = { objects, drifts: [...drifts, ...(await passwordDrifts(link, source, target))] };
        const safe = repeatable(compared.drifts, link);
        if (safe.length === 0 || round === rounds) return compared;
        await before(safe, async () => {
          if (safe.some((drift) => isPartitionJob(drift, link))) await followPartitions(link, source, target);
          if (safe.some(isPassword)) await carryPasswords(source, target);
          for (const drift of safe) await replay(target, statementsFor(drift, link) ?? []);
        });
      }
    }),
  );
}

/** Where the extension itself is missing, its functions would come without it. */
const repeatable = (drifts: SchemaDrift[], link: Link): SchemaDrift[] =>
  drifts.some(({ kind }) => kind === 'extension')
    ? []
    : drifts.filter(
        (drift) => isPassword(drift) || isPartitionJob(drift, link) || statementsFor(drift, link) !== undefined,
      );

const isPassword = ({ kind }: SchemaDrift): boolean => kind === 'password';

/** Not among the objects of a catalog, as two databases are alike without it. The copy had those of the live side. */
const passwordDrifts = async ({ from }: Link, source: pg.Client, target: pg.Client): Promise<SchemaDrift[]> =>
  (await otherPasswords(source, target)).map(({ name }) => ({
    kind: 'password',
    name: `of role ${name}`,
    on: from.colour,
    how: 'changed',
    migrated: false,
  }));
