import type { DatabaseAccess, ScratchDatabase } from '../../../../infra/platform/databases.ts';
import { copySchema } from '../../../data/copying/schema.ts';
import { preconditions, type Finding } from '../../../data/publication/preconditions.ts';

/**
 * Copies the schema of the live database to a scratch one of another version, which is disposed of. Rejects with PostgreSQL's words
 * where it does not take it. Resolves to what else stands against a copy of the rows.
 */
export async function tryUpgrade(live: DatabaseAccess, scratch: ScratchDatabase): Promise<Finding[]> {
  try {
    const found = (await preconditions(live, scratch.access)).filter(({ side }) => side === 'inactive');
    if (!found.some(({ severity }) => severity === 'error'))
      await copySchema(live, scratch.access, { passwords: false });
    return found;
  } finally {
    await scratch.dispose();
  }
}
