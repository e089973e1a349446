import { createHash } from 'node:crypto';
import type { Table } from './catalog.ts';

/** Types whose values say nothing about a person; a key of another type (an email address) is shown as a hash. */
const harmless = new Set(['int2', 'int4', 'int8', 'uuid', 'date', 'timestamp', 'timestamptz', 'bool']);

/** A row's primary key for a message: `id = 5`; keys that may be personal data as `email = sha256:1b2c3d4e`. */
export function describeKey(table: Pick<Table, 'primaryKey' | 'columns'>, values: (string | null)[]): string {
  return table.primaryKey
    .map((name, index) => {
      const value = values[index] ?? 'null';
      const type = table.columns.find((c) => c.name === name)?.builtIn ?? '';
      return `${name} = ${harmless.has(type) ? value : `sha256:${createHash('sha256').update(value).digest('hex').slice(0, 8)}`}`;
    })
    .join(', ');
}
