import type { DatabaseAccess } from '../../infra/platform/databases.ts';
import { row, withClient } from '../../automation/data/connect.ts';

/** Content of ordinary kinds: a table with documents and an enum, one with instants and amounts, and a log without a key. */

const schema = `
  CREATE TYPE mood AS ENUM ('calm', 'glad');
  CREATE TABLE people (id bigint PRIMARY KEY, email text NOT NULL, name text NOT NULL, balance numeric(12,2) NOT NULL, mood mood NOT NULL,
    profile jsonb NOT NULL, created timestamptz NOT NULL, active boolean NOT NULL, manager int);
  CREATE TABLE orders (id bigint PRIMARY KEY, person bigint NOT NULL, at timestamptz NOT NULL, amount numeric(12,2) NOT NULL, state varchar(20) NOT NULL, note text);
  CREATE INDEX ON orders (person);
  CREATE TABLE log (at timestamptz NOT NULL, level int NOT NULL, line text NOT NULL);
  CREATE SEQUENCE order_numbers;
  CREATE FUNCTION price(amount numeric) RETURNS numeric LANGUAGE sql AS 'SELECT amount * 1.2';`;

const fill: [bytesPerRow: number, insert: string][] = [
  [
    330,
    `INSERT INTO people SELECT i, 'user' || i || '@example.invalid', 'Name ' || md5(i::text), i / 7.0, (CASE WHEN i % 3 = 0 THEN 'glad' ELSE 'calm' END)::mood,
     jsonb_build_object('theme', 'dark', 'n', i, 'about', repeat(md5(i::text), 3)), timestamptz '2026-01-01Z' + i * interval '1 s', i % 5 > 0, nullif(i % 100, 0)`,
  ],
  [
    190,
    `INSERT INTO orders SELECT i, i::bigint * 7919 % 1000003, timestamptz '2026-01-01Z' + i * interval '1 ms', i / 100.0, 'paid', CASE WHEN i % 4 = 0 THEN repeat(md5(i::text), 5) END`,
  ],
  [
    150,
    `INSERT INTO log SELECT timestamptz '2026-01-01Z' + i / 2 * interval '1 ms', i % 4, repeat(md5((i / 2)::text), 3)`,
  ],
];

const batch = 200_000;

/** Makes a database of about this size, indexes included, and resolves to a description. */
export async function makeContent(access: DatabaseAccess, megabytes: number): Promise<string> {
  return await withClient(
    access,
    'owner',
    async (client) => {
      await client.query(schema);
      for (const [bytes, insert] of fill) {
        const count = Math.round((megabytes * 1e6) / fill.length / bytes);
        for (let from = 0; from < count; from += batch)
          await client.query(`${insert} FROM generate_series(${from}, ${Math.min(count, from + batch) - 1}) i`);
      }
      await client.query(`SELECT setval('order_numbers', 1000); ANALYZE`);
      return await sizeOf(client);
    },
    { statementMs: 3_600_000 },
  );
}

const sizeOf = async (client: Parameters<typeof row>[0]): Promise<string> =>
  (await row<{ size: string }>(client, `SELECT pg_size_pretty(pg_database_size(current_database())) AS size`)).size;

/** A table of this many rows, of which two columns are a key. */
export const rowsOf = (count: number): string =>
  `CREATE TABLE items (a bigint, b int, at timestamptz, text text, PRIMARY KEY (a, b));
   INSERT INTO items SELECT i, i % 7, timestamptz '2026-01-01Z' + i * interval '1 ms', md5(i::text) FROM generate_series(1, ${count}) i; ANALYZE items`;
