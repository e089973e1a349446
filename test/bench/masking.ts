import { withClient } from '../../automation/data/connect.ts';
import { maskDatabase } from '../../automation/data/masking/mask.ts';
import type { MaskRule } from '../../automation/data/masking/rules.ts';
import { sqlIdentifier } from '../../infra/application/roles.ts';
import type { DatabaseAccess } from '../../infra/platform/databases.ts';
import { createRig } from '../integration/automation/data/rig.ts';
import { timed, type Benchmark } from './frame.ts';

const rules: MaskRule[] = [
  { table: 'people', column: 'email', with: 'email' },
  { table: 'people', column: 'name', with: 'name' },
  { table: 'people', column: 'phone', with: 'digits' },
  { table: 'orders', column: 'email', with: 'email' },
];
/** A person with its two orders and its part of the indexes takes 750 bytes. */
const peoplePerGB = 1_340_000;
const content = (people: number): string => `
  CREATE TABLE people (id bigint PRIMARY KEY, email text NOT NULL UNIQUE, name text NOT NULL, phone text, city text, about text);
  CREATE TABLE orders (id bigint PRIMARY KEY, person bigint NOT NULL REFERENCES people, email text NOT NULL, at timestamptz NOT NULL, amount numeric(10, 2), text text);
  INSERT INTO people SELECT i, 'user' || i || '@corp.de', 'Anna Miller ' || i % 9973, '+49 151 ' || 10000000 + i, 'town ' || i % 997, repeat(md5(i::text), 3) FROM generate_series(1, ${people}) i;
  INSERT INTO orders SELECT i, 1 + i::bigint * 7919 % ${people}, 'user' || 1 + i::bigint * 7919 % ${people} || '@corp.de', now(), i % 1000, repeat(md5(i::text), 2) FROM generate_series(1, ${2 * people}) i;
  CREATE INDEX ON people (lower(name)); CREATE INDEX ON orders (person); CREATE INDEX ON orders (email);`;

/** As PostgreSQL Anonymizer's static masking does it: one UPDATE per table, by functions of an MD5 with a salt. */
const pseudonym = (of: string): string => `md5(${of} || 'salt')`;
const updates = [
  `UPDATE people SET email = left(${pseudonym('email')}, 16) || '@example.invalid', name = 'Person ' || left(${pseudonym('name')}, 16),
     phone = '+49 151 ' || lpad((('x' || left(${pseudonym('phone')}, 8))::bit(32)::bigint % 100000000)::text, 8, '0')`,
  `UPDATE orders SET email = left(${pseudonym('email')}, 16) || '@example.invalid'`,
];

async function runAll(access: DatabaseAccess, statements: readonly string[]): Promise<void> {
  const run = async (client: { query(sql: string): Promise<unknown> }): Promise<void> => {
    for (const statement of statements) await client.query(statement);
  };
  await withClient(access, 'admin', run, { statementMs: 3_600_000 });
}

export const masking: Benchmark = {
  name: 'masking',
  title: 'Masking of 1 GB',
  wanted: 1,
  async prepare(scale) {
    const rig = await createRig();
    try {
      await rig.fresh('SELECT 1');
      const { access } = rig.blue;
      const [copy, postgres] = [
        { ...access, database: 'copy' },
        { ...access, database: 'postgres' },
      ];
      await runAll(access, [
        // Clusters of tests do not flush.
        'ALTER SYSTEM SET fsync = on',
        `ALTER SYSTEM SET max_wal_size = '4GB'`,
        'SELECT pg_reload_conf()',
        content(Math.round(peoplePerGB * scale)),
        'VACUUM ANALYZE',
      ]);
      const size = await withClient(access, 'admin', (client) =>
        client.query<{ mb: number }>('SELECT pg_database_size(current_database()) / 1e6::float8 AS mb'),
      );
      const before = (): Promise<void> =>
        runAll(postgres, [
          'DROP DATABASE IF EXISTS copy',
          `CREATE DATABASE copy TEMPLATE ${sqlIdentifier(access.database)} STRATEGY file_copy`,
          'CHECKPOINT',
        ]);
      return {
        about: `${Math.round(size.rows[0]?.mb ?? NaN)} MB in 2 tables`,
        contenders: [
          { name: 'greenlight: mask', before, run: () => timed(() => maskDatabase(copy, rules, 'a secret')) },
          {
            name: 'one UPDATE per table',
            before,
            // Old rows are still on the disk after the UPDATE. Masking has to remove them.
            async run() {
              const updated = await timed(() => runAll(copy, updates));
              const freed = await timed(() =>
                runAll(copy, ['VACUUM (FULL, ANALYZE) people', 'VACUUM (FULL, ANALYZE) orders']),
              );
              return { ...updated, 's with VACUUM FULL': updated.s + freed.s };
            },
          },
        ],
        dispose: () => rig.dispose(),
      };
    } catch (error) {
      await rig.dispose();
      throw error;
    }
  },
};
