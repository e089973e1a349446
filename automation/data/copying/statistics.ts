import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { withClient } from '../connect.ts';

/** Longest ANALYZE of a database, ms. It reads samples: 300 * 100 rows of each table. */
const analyseMs = 3_600_000;

/** Computes what the planner knows of the contents, extended statistics too: rows that were copied come without. */
export const analyse = (access: DatabaseAccess): Promise<unknown> =>
  withClient(access, 'admin', (client) => client.query('ANALYZE'), { statementMs: analyseMs });
