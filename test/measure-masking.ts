import { fileURLToPath } from 'node:url';
import { withClient } from '../automation/data/connect.ts';
import { maskDatabase } from '../automation/data/masking/mask.ts';
import type { MaskRule } from '../automation/data/masking/rules.ts';
import { sqlIdentifier } from '../infra/application/roles.ts';
import type { DatabaseAccess } from '../infra/platform/databases.ts';
import { createRig } from './integration/automation/data/rig.ts';

/**
 * How long masking takes beside what PostgreSQL Anonymizer's static masking does, one UPDATE per table by functions of an MD5
 * with a salt. Both start from copies of one database, in turns. No part of CI:
 * node_modules/.bin/node test/measure-masking.ts [rows of people, in thousands] [rounds]
 */

export interface MaskingFigures {
  megabytes: number;
  people: number;
  /** Seconds, one per round. */
  masked: number[];
  /** UPDATE alone: old rows are still on disk. */
  updated: number[];
  /** UPDATE, and VACUUM FULL, which removes them. */
  updatedAndFreed: number[];
}

const rules: MaskRule[] = [
  { table: 'people', column: 'email', with: 'email' },
  { table: 'people', column: 'name', with: 'name' },
  { table: 'people', column: 'phone', with: 'digits' },
  { table: 'orders', column: 'email', with: 'email' },
];
/** 640 bytes a person with its orders and indexes. */
const seed = (people: number): string => `
  CREATE TABLE people (id bigint PRIMARY KEY, email text NOT NULL UNIQUE, name text NOT NULL, phone text, city text, about text);
  CREATE TABLE orders (id bigint PRIMARY KEY, person bigint NOT NULL REFERENCES people, email text NOT NULL, at timestamptz NOT NULL, amount numeric(10, 2), text text);
  INSERT INTO people SELECT i, 'user' || i || '@corp.de', 'Anna Miller ' || i % 9973, '+49 151 ' || 10000000 + i, 'town ' || i % 997, repeat(md5(i::text), 3) FROM generate_series(1, ${people}) i;
  INSERT INTO orders SELECT i, 1 + i::bigint * 7919 % ${people}, 'user' || 1 + i::bigint * 7919 % ${people} || '@corp.de', now(), i % 1000, repeat(md5(i::text), 2) FROM generate_series(1, ${2 * people}) i;
  CREATE INDEX ON people (lower(name)); CREATE INDEX ON orders (person); CREATE INDEX ON orders (email);`;

const pseudonym = (of: string): string => `md5(${of} || 'salt')`;
const updates = [
  `UPDATE people SET email = left(${pseudonym('email')}, 16) || '@example.invalid', name = 'Person ' || left(${pseudonym('name')}, 16),
     phone = '+49 151 ' || lpad((('x' || left(${pseudonym('phone')}, 8))::bit(32)::bigint % 100000000)::text, 8, '0')`,
  `UPDATE orders SET email = left(${pseudonym('email')}, 16) || '@example.invalid'`,
];

export async function benchMasking({ people, rounds }: { people: number; rounds: number }): Promise<MaskingFigures> {
  const rig = await createRig();
  const postgres = { database: 'postgres', statementMs: 3_600_000 };
  const run = (access: DatabaseAccess, statements: readonly string[], options = {}): Promise<void> =>
    withClient(
      access,
      'admin',
      async (client) => {
        for (const statement of statements) await client.query(statement);
      },
      { statementMs: 3_600_000, ...options },
    );
  try {
    await rig.fresh('SELECT 1');
    const { access } = rig.blue;
    // Clusters of tests do not flush.
    await run(access, [
      'ALTER SYSTEM SET fsync = on',
      `ALTER SYSTEM SET max_wal_size = '4GB'`,
      'SELECT pg_reload_conf()',
    ]);
    await run(access, [seed(people), 'VACUUM ANALYZE']);
    const size = await withClient(access, 'admin', (client) =>
      client.query<{ bytes: string }>('SELECT pg_database_size(current_database()) AS bytes'),
    );
    const figures: MaskingFigures = {
      megabytes: Number(size.rows[0]?.bytes) / 1e6,
      people,
      masked: [],
      updated: [],
      updatedAndFreed: [],
    };
    const copy = { ...access, database: 'copy' };
    const renew = [
      'DROP DATABASE IF EXISTS copy',
      `CREATE DATABASE copy TEMPLATE ${sqlIdentifier(access.database)} STRATEGY file_copy`,
      'CHECKPOINT',
    ];
    const timed = async (work: () => Promise<unknown>): Promise<number> => {
      await run(access, renew, postgres);
      const started = performance.now();
      await work();
      return (performance.now() - started) / 1000;
    };
    for (let round = 0; round < rounds; round++) {
      figures.masked.push(await timed(() => maskDatabase(copy, rules, 'a secret')));
      let freed = 0;
      figures.updated.push(
        await timed(async () => {
          await run(copy, updates);
          freed = performance.now();
        }),
      );
      await run(copy, ['VACUUM (FULL, ANALYZE) people', 'VACUUM (FULL, ANALYZE) orders']);
      figures.updatedAndFreed.push((figures.updated.at(-1) ?? 0) + (performance.now() - freed) / 1000);
    }
    return figures;
  } finally {
    await rig.dispose();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const figures = await benchMasking({
    people: Number(process.argv[2] ?? 1000) * 1000,
    rounds: Number(process.argv[3] ?? 3),
  });
  console.log(JSON.stringify(figures, undefined, 2));
}
