import { keyOf, splitColumn, type DatabaseObject } from '../objects/compare.ts';
import type { Look } from './look.ts';

/** A constraint, an index, a trigger, a rule or a policy: something that belongs to a table. */
export interface Part {
  kind: string;
  /** Within its table. */
  name: string;
  definition: string;
}

/** The catalog of a look, by tables. */
export class CatalogView {
  readonly look: Look;
  readonly #objects: Map<string, DatabaseObject>;
  readonly #parts = new Map<string, Part[]>();

  constructor(look: Look) {
    this.look = look;
    this.#objects = new Map(look.objects.map((object) => [keyOf(object), object]));
    for (const { kind, name, definition } of look.objects) {
      const at = partOf(kind, name, look);
      if (at !== undefined)
        this.#parts.set(at.table, [...(this.#parts.get(at.table) ?? []), { kind, name: at.part, definition }]);
    }
  }

  has(kind: string, name: string): boolean {
    return this.#objects.has(keyOf({ kind, name }));
  }

  lines(kind: string, name: string): string[] {
    return this.#objects.get(keyOf({ kind, name }))?.definition.split('\n') ?? [];
  }

  columns(table: string): { id: string; name: string; definition: string }[] {
    return (this.look.tables.get(table)?.columns ?? []).map(({ id, name }) => ({
      id,
      name,
      definition: this.#objects.get(`column ${table}.${name}`)?.definition ?? '',
    }));
  }

  parts(table: string, kind?: string): Part[] {
    return (this.#parts.get(table) ?? []).filter((part) => kind === undefined || part.kind === kind);
  }

  /** Statements that make a table as it is, so far as the judgement needs to know it. */
  creation(table: string): string[] {
    const lines = this.lines('table', table);
    const parent = lines.some((line) => line.startsWith('PARTITION OF ')) ? parentIn(lines) : undefined;
    const kind = lines.includes('UNLOGGED') ? 'UNLOGGED TABLE' : 'TABLE';
    const columns = this.columns(table).map(({ name, definition }) => `${name} ${columnSql(definition)}`);
    return [
      parent === undefined
        ? `CREATE ${kind} ${table} (${columns.join(', ')})`
        : `CREATE ${kind} ${table} PARTITION OF ${parent} DEFAULT`,
      ...(lines.includes('REPLICA IDENTITY f') ? [`ALTER TABLE ${table} REPLICA IDENTITY FULL`] : []),
      ...this.parts(table).flatMap((part) => creationOf(table, part)),
    ];
  }
}

/** The table that this one is a partition of, or inherits from if it is but one. */
export const parentIn = (lines: readonly string[]): string | undefined =>
  lines.flatMap((line) => /^(?:PARTITION OF|INHERITS) ((?:"(?:[^"]|"")*"|[^" ,])+)$/.exec(line)?.[1] ?? [])[0];

/** The table that an object belongs to, and its name there. */
function partOf(kind: string, name: string, { indexes, tables }: Look): { table: string; part: string } | undefined {
  if (kind === 'index') {
    const table = indexes.get(name);
    return table === undefined ? undefined : { table, part: name };
  }
  if (kind === 'constraint') {
    const { table, column } = splitColumn(name);
    return tables.has(table) ? { table, part: column } : undefined;
  }
  if (!['trigger', 'rule', 'policy'].includes(kind)) return undefined;
  const at = name.lastIndexOf(' on ');
  const table = name.slice(at + ' on '.length);
  return tables.has(table) ? { table, part: name.slice(0, at) } : undefined;
}

/** Statements that make a part of a table. */
export function creationOf(table: string, { kind, name, definition }: Part): string[] {
  const alter = `ALTER TABLE ${table}`;
  const lines = definition.split('\n');
  if (kind === 'constraint')
    return lines.includes('inherited') ? [] : [`${alter} ADD CONSTRAINT ${name} ${withoutMarks(definition)}`];
  if (kind === 'index')
    return [
      ...(definition.startsWith('CREATE ') ? [withoutMarks(definition)] : []),
      ...(lines.includes('replica identity') ? [`${alter} REPLICA IDENTITY USING INDEX ${short(name)}`] : []),
    ];
  if (kind !== 'trigger' || name.startsWith('of constraint ')) return [];
  return [
    withoutMarks(definition),
    ...(lines.includes('enabled: A') ? [`${alter} ENABLE ALWAYS TRIGGER ${name}`] : []),
    ...(lines.includes('enabled: D') ? [`${alter} DISABLE TRIGGER ${name}`] : []),
  ];
}

/** The part of a definition that is SQL: what stands below it are marks of `readObjects`. */
export const withoutMarks = (definition: string): string =>
  definition.replace(/(\n(inherited|NO INHERIT|invalid|not ready|replica identity|CLUSTER ON|enabled: \w))+$/, '');

/** A name without its schema: for what has to be in the schema of its table. */
const short = (name: string): string => splitColumn(name).column;

/** A column as CREATE TABLE has it, with any expression in place of the real one: only that there is one is judged. */
export function columnSql(definition: string): string {
  const has = (line: RegExp): boolean => line.test(definition);
  return [
    definition.split('\n')[0],
    ...(has(/^NOT NULL$/m) ? ['NOT NULL'] : []),
    ...(has(/^DEFAULT /m) ? ['DEFAULT 0'] : []),
    ...(has(/^GENERATED /m) ? ['GENERATED ALWAYS AS (0) STORED'] : []),
    ...(has(/^IDENTITY /m) ? ['GENERATED BY DEFAULT AS IDENTITY'] : []),
  ].join(' ');
}
