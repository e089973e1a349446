/** A type as a column has it. */
export interface ColumnType {
  /** Without schema: `varchar`. */
  name: string;
  /** Length, or precision and scale. */
  modifiers: number[];
  array: boolean;
}

/** What a change of a column's type does to its values. */
export interface TypeChange {
  /**
   * `wider`: takes every value that the old type took, and more. `unlike`: neither, or fewer values. `alike`: the same values in
   * another form. `unknown`: the old type is not known.
   */
  kind: 'same' | 'wider' | 'alike' | 'unlike' | 'unknown';
  /** Whether PostgreSQL writes the table anew. See https://www.postgresql.org/docs/18/sql-altertable.html#SQL-ALTERTABLE-NOTES */
  rewrites: boolean;
}

/** Each takes all values of those before it. */
const growing = [
  ['int2', 'int4', 'int8', 'numeric'],
  ['float4', 'float8'],
];
const alike = [
  ['json', 'jsonb'],
  ['text', 'citext'],
  ['varchar', 'citext'],
];
/** Types with one modifier that only limits them. */
const limited = ['timestamp', 'timestamptz', 'time', 'timetz', 'interval', 'varbit'];

export function changeOf(from: ColumnType | undefined, to: ColumnType): TypeChange {
  if (from === undefined) return { kind: 'unknown', rewrites: true };
  const equal = from.name === to.name && from.modifiers.join() === to.modifiers.join() && from.array === to.array;
  if (equal) return { kind: 'same', rewrites: false };
  if (from.array || to.array) return { kind: 'unlike', rewrites: true };
  return ofText(from, to) ?? ofNumeric(from, to) ?? ofLimited(from, to) ?? ofNames(from.name, to.name);
}

const textual = (type: ColumnType): number | undefined => {
  if (type.name === 'text') return Infinity;
  if (type.name === 'varchar') return type.modifiers[0] ?? Infinity;
  return type.name === 'bpchar' ? (type.modifiers[0] ?? 1) : undefined;
};

function ofText(from: ColumnType, to: ColumnType): TypeChange | undefined {
  const [before, after] = [textual(from), textual(to)];
  if (before === undefined || after === undefined) return undefined;
  const padded = from.name === 'bpchar' || to.name === 'bpchar';
  if (after < before) return { kind: 'unlike', rewrites: true };
  return { kind: after > before || padded ? 'wider' : 'same', rewrites: padded };
}

function ofNumeric(from: ColumnType, to: ColumnType): TypeChange | undefined {
  if (from.name !== 'numeric' || to.name !== 'numeric') return undefined;
  const digits = ({
    modifiers: [precision = Infinity, scale = precision === Infinity ? Infinity : 0],
  }: ColumnType) => ({
    whole: precision === Infinity ? Infinity : precision - scale,
    scale,
  });
  const [before, after] = [digits(from), digits(to)];
  if (after.whole < before.whole || after.scale < before.scale) return { kind: 'unlike', rewrites: true };
  return { kind: 'wider', rewrites: after.scale !== before.scale && after.scale !== Infinity };
}

function ofLimited(from: ColumnType, to: ColumnType): TypeChange | undefined {
  if (from.name !== to.name || !limited.includes(from.name)) return undefined;
  const [before, after] = [from.modifiers[0] ?? Infinity, to.modifiers[0] ?? Infinity];
  return after < before ? { kind: 'unlike', rewrites: true } : { kind: 'wider', rewrites: false };
}

function ofNames(from: string, to: string): TypeChange {
  const wider = growing.some((row) => row.includes(from) && row.indexOf(to) > row.indexOf(from));
  if (wider) return { kind: 'wider', rewrites: true };
  const same = alike.some((pair) => pair.includes(from) && pair.includes(to));
  return { kind: same ? 'alike' : 'unlike', rewrites: true };
}
