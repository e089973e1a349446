import type { Node, RangeVar, TypeName } from 'libpg-query';
import type { ColumnType } from '../type-change.ts';

/** Readings of parse trees that several judgements need. */

export const stringOf = (node: Node | undefined): string =>
  node !== undefined && 'String' in node ? (node.String.sval ?? '') : '';

export const stringsOf = (nodes: readonly Node[] = []): string[] => nodes.map(stringOf);

/** `schema.name`, or `name` alone where the statement gives no schema. */
export const nameOf = ({ schemaname, relname = '' }: RangeVar): string =>
  schemaname === undefined ? relname : `${schemaname}.${relname}`;

/** Calls `visit` for every node below and including this one, with its kind and content. */
export function walk(tree: unknown, visit: (kind: string, content: Record<string, unknown>) => void): void {
  if (typeof tree !== 'object' || tree === null) return;
  if (Array.isArray(tree)) {
    for (const item of tree) walk(item, visit);
    return;
  }
  for (const [key, value] of Object.entries(tree)) {
    // Kinds of nodes begin with a capital letter, their fields do not.
    if (/^[A-Z]/.test(key) && typeof value === 'object' && value !== null) visit(key, value as Record<string, unknown>);
    walk(value, visit);
  }
}

/** Names of the columns that an expression reads. */
export function columnsIn(tree: unknown): string[] {
  const found: string[] = [];
  walk(tree, (kind, { fields }) => {
    if (kind === 'ColumnRef') found.push(stringsOf(fields as Node[]).at(-1) ?? '');
  });
  return found;
}

/** Names of the functions that an expression calls, without schema. */
export function functionsIn(tree: unknown): string[] {
  const found: string[] = [];
  walk(tree, (kind, { funcname }) => {
    if (kind === 'FuncCall') found.push(stringsOf(funcname as Node[]).at(-1) ?? '');
  });
  return found;
}

export function typeOf({ names, typmods = [], arrayBounds = [] }: TypeName): ColumnType {
  const modifiers = typmods.map((node) => ('A_Const' in node ? (node.A_Const.ival?.ival ?? 0) : Number.NaN));
  return { name: stringsOf(names).at(-1) ?? '', modifiers, array: arrayBounds.length > 0 };
}
