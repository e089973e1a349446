import { createRig } from '../integration/automation/data/rig.ts';
import { databaseUrl } from '../../infra/application/database-url.ts';
import { grantWrites } from '../../infra/application/roles.ts';
import type { DatabaseAccess } from '../../infra/platform/databases.ts';
import { withClient } from '../../automation/data/connect.ts';
import { copyDatabase } from '../../automation/data/copying/schema.ts';
import { makeContent, rowsOf } from './content.ts';
import { timed, type Benchmark, type Contender, type Figures } from './frame.ts';
import { absent, as, greenlight, shell } from './programs.ts';

const dsn = (access: DatabaseAccess): string => `${databaseUrl(access, 'admin')}`;

/** The command, from its start to its exit code, with its peak of memory. */
async function command(left: DatabaseAccess, right: DatabaseAccess): Promise<Figures> {
  let peakMB = 0;
  const took = await timed(async () => {
    ({ peakMB } = await greenlight(['compare', dsn(left), dsn(right)], [0]));
  });
  return { ...took, 'MB peak': peakMB };
}

/** Rows by the million take longer than a statement of a test may. */
const statement = (access: DatabaseAccess, sql: string): Promise<unknown> =>
  withClient(access, 'owner', (client) => client.query(sql), { statementMs: 3_600_000 });

/**
 * What `pgcopydb compare data` asks of each table on both sides, as its source has it: src/bin/pgcopydb/schema.c. A session per side,
 * both at the same time. The version in Debian 12 does not have the command.
 */
const pgcopydbQuery = (table: string): string =>
  `SELECT count(1) AS cnt, encode(sha256(format('%s-%s', sum(hashtext(${table}::text)::bigint), count(1))::bytea), 'hex') AS chksum FROM ONLY ${table};`;

const bothSides = (command: string, left: DatabaseAccess, right: DatabaseAccess) => async (): Promise<Figures> => {
  const found: string[] = [];
  const took = await timed(async () => {
    const all = await Promise.all([left, right].map((access) => shell(command, as(access))));
    found.push(...all.map(({ out }) => out));
  });
  if (found[0] !== found[1] || found[0] === '') throw new Error(`${command}: the sides are not equal`);
  return took;
};

export const comparison: Benchmark = {
  name: 'comparison',
  title: 'Comparison of 1 GB on two servers of one machine, warm',
  wanted: 1.4,
  async prepare(scale) {
    const rig = await createRig();
    try {
      await rig.fresh('SELECT 1');
      const [left, right] = [rig.blue.access, rig.green.access];
      const size = await makeContent(left, 1000 * scale);
      await copyDatabase(left, right);
      // A right of the live side alone, which a dump of the database does not have.
      await withClient(right, 'admin', (client) => client.query(grantWrites));
      const tables = ['people', 'orders', 'log'].map((name) => pgcopydbQuery(name)).join(' ');
      const contenders: Contender[] = [
        { name: 'greenlight compare', run: () => command(left, right) },
        {
          name: "pgcopydb's compare query",
          absent: absent('psql'),
          run: bothSides(`psql -XAtq -c "${tables.replaceAll('"', String.raw`\"`)}"`, left, right),
        },
        {
          name: 'md5 of pg_dump',
          absent: absent('pg_dump', 'md5sum'),
          // Without a key of its own a dump begins with a random word.
          run: bothSides('pg_dump --data-only --restrict-key=greenlight | md5sum', left, right),
        },
      ];
      // Once each, so that every file is in memory.
      await command(left, right);
      return { about: `${size} in 3 tables`, contenders, dispose: () => rig.dispose() };
    } catch (error) {
      await rig.dispose();
      throw error;
    }
  },
};

/** Time and memory by the number of rows: a contender each, which are not peers of each other. */
export const growth: Benchmark = {
  name: 'growth',
  title:
    'Comparison of 100,000, 1,000,000 and 10,000,000 rows: equal, with one changed row, and with all of them changed',
  async prepare(scale) {
    const rig = await createRig();
    const sizes = [1e5, 1e6, 1e7].map((count) => Math.round(count * scale));
    let filled = { count: 0, changed: 0 };
    /** The first `changed` rows differ. */
    const fill = async (count: number, changed: number): Promise<void> => {
      if (filled.count !== count || filled.changed > changed) {
        await rig.fresh('SELECT 1');
        await Promise.all([rig.blue, rig.green].map(({ access }) => statement(access, rowsOf(count))));
      }
      await statement(rig.green.access, `UPDATE items SET text = 'changed' WHERE a <= ${changed}`);
      filled = { count, changed };
    };
    const contenders = sizes.flatMap((count) =>
      [0, 1, count].map((changed): Contender => ({
        name: `${count.toLocaleString('en-US')} rows, ${changed === 0 ? 'equal' : changed === 1 ? 'one changed' : 'all changed'}`,
        async run() {
          await fill(count, changed);
          let peakMB = 0;
          const only = ['--table', 'public.items'];
          const took = await timed(async () => {
            ({ peakMB } = await greenlight(
              ['compare', dsn(rig.blue.access), dsn(rig.green.access), ...only],
              [changed === 0 ? 0 : 1],
            ));
          });
          return { ...took, 'MB peak': peakMB };
        },
      })),
    );
    return { about: '4 columns, a key of two', contenders, peers: false, dispose: () => rig.dispose() };
  },
};
