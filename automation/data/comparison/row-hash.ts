import { sqlIdentifier } from '../../../infra/application/roles.ts';
import type { Column } from '../catalog.ts';

/**
 * The hash of a row (64 bits), over all its bytes.
 *
 * `hash_record_extended` hashes a row without making a text of it, which costs several times as much. Left alone it has two
 * faults. It adds up the hashes of the columns, and sums over rows then hide values that are swapped between two rows. So the
 * result is hashed once more, as an address: `hashinetextended` is the one function of SQL that hashes 64 bits without folding
 * them. And some types are hashed by less than their bytes: 64-bit integers and instants are folded to 32 bits, numbers lose
 * scale and sign. Columns of these types take the forms below.
 */
export const hashOf = (values: readonly string[]): string => `hashinetextended(${address(values)}, 0)`;

/** Most values of one ROW(); PostgreSQL's limit is 1,664. */
const mostValues = 1_600;

function address(values: readonly string[]): string {
  const parts = Array.from({ length: Math.ceil(values.length / mostValues) }, (_, i) =>
    values.slice(i * mostValues, (i + 1) * mostValues),
  );
  return parts.length > 1
    ? address(parts.map(address))
    : `'8000::'::inet + hash_record_extended(ROW(${values.join(', ')}), 0)`;
}

type Form = (column: string) => string[];
const asItIs: Form = (column) => [column];
const sent =
  (by: string): Form =>
  (column) => [`${by}(${column})`];

/** NaN has many forms in bits, and a computed one has another than a copied one. PostgreSQL takes them for equal and shows no difference. */
const oneNaN = (column: string): string => `CASE WHEN ${column} = 'NaN' THEN 'NaN' ELSE ${column} END`;

/**
 * Types with a form that depends on the value only, is the same on every server, and whose hash covers all its bytes. The others
 * are hashed as text.
 */
const forms: Readonly<Record<string, Form>> = {
  int2: asItIs,
  int4: asItIs,
  oid: asItIs,
  date: asItIs,
  uuid: asItIs,
  bytea: asItIs,
  bool: (column) => [`${column}::int`],
  // The high half tells the numbers apart that the hash of the whole folds together.
  int8: (column) => [column, `(${column} >> 32)::int`],
  float4: (column) => [`float4send(${oneNaN(column)})`],
  float8: (column) => [`float8send(${oneNaN(column)})`],
  numeric: sent('numeric_send'),
  time: sent('time_send'),
  timestamp: sent('timestamp_send'),
  timestamptz: sent('timestamptz_send'),
  interval: sent('interval_send'),
};

/** How texts are compared. `bytes`: the databases have the same encoding. */
export type Texts = 'bytes' | 'utf8';

// The collation decides which texts have the same hash. With "C" only equal bytes have.
const text = (sql: string, texts: Texts): string =>
  texts === 'bytes' ? `${sql} COLLATE "C"` : `convert_to(${sql}, 'UTF8')`;

/** Names of the columns that both sides have, in the order of the first. */
export const sharedColumns = (columns: Column[], others: Column[]): string[] =>
  columns.map(({ name }) => name).filter((name) => others.some((other) => other.name === name));

/** SQL expression of a row's hash (64 bits) over the columns that both sides have. */
export function rowHash(columns: Column[], others: Column[], texts: Texts = 'bytes'): string {
  // In the order of the names, as it has to be the same on both sides.
  const sorted = [...columns].sort((a, b) => (a.name < b.name ? -1 : 1));
  return hashOf(
    sorted.flatMap((column) => {
      const other = others.find((o) => o.name === column.name);
      return other === undefined ? [] : compared(column, other, texts);
    }),
  );
}

/** A column's value in forms that are the same on both sides, also if the type became a wider one. */
function compared(column: Column, other: Column, texts: Texts): string[] {
  const name = sqlIdentifier(column.name);
  // A larger declared scale adds trailing zeros, which are not part of the value.
  if (column.type !== other.type && column.builtIn === 'numeric' && other.builtIn === 'numeric')
    return [`numeric_send(trim_scale(${name}))`];
  const form = column.builtIn === other.builtIn ? forms[column.builtIn] : undefined;
  // Hashed without its trailing blanks, which are no part of the value. The cast to text would copy it for that.
  const padded = column.builtIn === 'bpchar' && other.builtIn === 'bpchar' && texts === 'bytes';
  // A row's text is what the type itself shows: a cast to text may be the application's own, and may leave something out.
  const itsOwn = column.builtIn === '' && column.type === other.type;
  return form?.(name) ?? [text(padded ? name : itsOwn ? `ROW(${name})::text` : `${name}::text`, texts)];
}
