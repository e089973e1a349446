import { dirname, join } from 'node:path';
import { execa } from 'execa';
import type { DatabaseRole } from '../../infra/application/database-url.ts';
import { databaseEnvironment } from '../../infra/application/database-url.ts';
import { bareEnvironment } from '../../infra/lib/child-environment.ts';
import { toolPath } from '../../infra/lib/tools.ts';
import type { DatabaseAccess } from '../../infra/platform/databases.ts';
import type { World } from './world.ts';

/** Transactions of one run of pgbench, which is one request: it can be held before it, and not within. */
const transactions = 10;

const pgbench = async (access: DatabaseAccess, role: DatabaseRole, options: string[]): Promise<string> => {
  const program = join(dirname(toolPath('postgres')), 'pgbench');
  const ran = await execa(program, options, bareEnvironment(databaseEnvironment(access, role)));
  return ran.stdout;
};

const sumOf = (column: string, table: string): string => `(SELECT coalesce(sum(${column}), 0) FROM ${table})`;

/** TPC-B as PostgreSQL's own tool makes it and runs it. Its history has no key. */
export const pgbenchWorld: World = {
  name: 'pgbench',
  is: "PostgreSQL's own benchmark and its load, prepared statements",

  async create({ side }) {
    await pgbench(side.access, 'owner', ['--initialize', '--scale=1', '--quiet']);
  },

  migrations: {
    '001_notes.sql': 'ALTER TABLE pgbench_branches ADD COLUMN opened date;',
    '002_contract.sql': 'ALTER TABLE pgbench_tellers DROP COLUMN filler;',
  },
  contract: ['002_contract.sql'],

  clients: 2,
  everyMs: 20,
  request: () => ({
    writes: { counters: { history: transactions } },
    async run({ side }) {
      const load = ['--protocol=prepared', '--no-vacuum', `--transactions=${transactions}`, '--client=1'];
      const said = await pgbench(side.access, 'app', load);
      const done = `transactions actually processed: ${transactions}/${transactions}`;
      if (!said.includes(done)) throw new Error(`pgbench: ${said}`);
    },
  }),

  ledger: { counters: `SELECT 'history' AS name, count(*)::text AS n FROM pgbench_history` },
  invariants: [
    {
      name: 'accounts, tellers, branches and history agree',
      sql: `SELECT 1 WHERE NOT (
      ${sumOf('abalance', 'pgbench_accounts')} = ${sumOf('tbalance', 'pgbench_tellers')}
      AND ${sumOf('tbalance', 'pgbench_tellers')} = ${sumOf('bbalance', 'pgbench_branches')}
      AND ${sumOf('bbalance', 'pgbench_branches')} = ${sumOf('delta', 'pgbench_history')})`,
    },
  ],
};
