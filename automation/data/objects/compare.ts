/**
 * The catalog of a database as data: every object with a text that says all of it. Two databases have the same catalog if they have
 * the same texts.
 */

export interface DatabaseObject {
  /** As PostgreSQL calls it: `table`, `column`, `function`, `grant`. */
  kind: string;
  /** Unique within its kind. With the schema, for people: `shop.price(integer)`. */
  name: string;
  /** Canonical text. Holds no OID, no row content and no secret. Does not depend on the session's settings. */
  definition: string;
}

/** An object that is not the same on both sides. A side that does not have it has no definition. */
export interface ObjectDifference {
  kind: string;
  name: string;
  left?: string;
  right?: string;
}

/** What tells an object from every other one of its database. */
export const keyOf = ({ kind, name }: Pick<DatabaseObject, 'kind' | 'name'>): string => `${kind} ${name}`;

/** The table and the column of a column's name. A name that has a dot or a quote is quoted. */
export function splitColumn(name: string): { table: string; column: string } {
  const at = name.endsWith('"') ? name.search(/\.(?:[^".]|"(?:[^"]|"")*")*$/) : name.lastIndexOf('.');
  return { table: name.slice(0, at), column: name.slice(at + 1) };
}

/** Every object that is missing on a side or has another definition there, in the order of kinds and names. */
export function compareObjects(left: DatabaseObject[], right: DatabaseObject[]): ObjectDifference[] {
  const found = new Map<string, ObjectDifference>();
  for (const { kind, name, definition } of left) found.set(keyOf({ kind, name }), { kind, name, left: definition });
  for (const { kind, name, definition } of right) {
    const key = keyOf({ kind, name });
    const other = found.get(key);
    if (other?.left === definition) found.delete(key);
    else found.set(key, { ...(other ?? { kind, name }), right: definition });
  }
  return [...found.values()].sort((a, b) => order(a.kind, b.kind) || order(a.name, b.name));
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
