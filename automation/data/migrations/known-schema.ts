import type { ColumnType } from '../type-change.ts';

/**
 * What the migration files say of the schema, read statement by statement: which tables, columns and constraints are there,
 * and which of them the files to be applied have made themselves. Objects that no file made are taken to be there.
 */
export interface KnownColumn {
  type?: ColumnType;
  notNull: boolean;
  hasDefault: boolean;
  /** Whether a pending file adds it: the live side does not have it. */
  isNew: boolean;
}

export type ConstraintKind = 'check' | 'unique' | 'primary' | 'foreign' | 'exclusion';

export interface KnownConstraint {
  kind: ConstraintKind;
  columns: string[];
  isNew: boolean;
  validated: boolean;
  /** The file that added it. */
  file: string;
  /** The column that a CHECK keeps from being null, if it does nothing else. */
  notNullOf?: string;
}

export interface Place {
  file: string;
  line: number;
}

export interface KnownTable {
  name: string;
  isNew: boolean;
  /** Where it was made; undefined where no file made it. */
  made?: Place;
  columns: Map<string, KnownColumn>;
  constraints: Map<string, KnownConstraint>;
  /** What pending files have dropped: adding the same again replaces it. */
  dropped: { name: string; kind: ConstraintKind; columns: string[] }[];
  /** Whether logical replication can tell its rows apart, so far as the files say. */
  keyed: boolean;
  /** Temporary and unlogged tables are not replicated. */
  persistence: 'permanent' | 'unlogged' | 'temporary';
  /** A trigger of a pending file that fires for replicated rows, too. */
  alwaysFires: boolean;
  identityIndex?: string;
}

export interface KnownIndex {
  table: string;
  unique: boolean;
  /** Columns, where it covers all rows and no expression. */
  columns: string[];
  isNew: boolean;
}

export class KnownSchema {
  readonly tables = new Map<string, KnownTable>();
  readonly indexes = new Map<string, KnownIndex>();
  /** Other objects: `view public.v`. The value says whether a pending file made it. */
  readonly objects = new Map<string, boolean>();
  /** The schema of names without one. Each file starts with `public`. */
  home = 'public';

  /** A full name: that of the one table, index or object with this name, or else one in `home`. */
  resolve(name: string, among: Iterable<string> = this.tables.keys()): string {
    if (name.includes('.')) return name;
    const known = [...among].filter((full) => full.endsWith(`.${name}`));
    return known.length === 1 && known[0] !== undefined ? known[0] : `${this.home}.${name}`;
  }

  /** The table of this name; one that no file made is taken to be there. */
  table(name: string): KnownTable {
    const full = this.resolve(name);
    const known = this.tables.get(full);
    if (known !== undefined) return known;
    const table = newTable(full, { isNew: false, keyed: true });
    this.tables.set(full, table);
    return table;
  }

  isNewTable(name: string): boolean {
    return this.tables.get(this.resolve(name))?.isNew === true;
  }

  /** Whether a file made it. */
  hasTable(name: string): boolean {
    return this.tables.get(this.resolve(name))?.made !== undefined;
  }

  objectKey(kind: string, name: string): string {
    const prefix = `${kind} `;
    const among = [...this.objects.keys()]
      .filter((key) => key.startsWith(prefix))
      .map((key) => key.slice(prefix.length));
    return prefix + this.resolve(name, among);
  }

  isNewObject(kind: string, name: string): boolean {
    return this.objects.get(this.objectKey(kind, name)) === true;
  }
}

export const newTable = (
  name: string,
  given: Pick<KnownTable, 'isNew' | 'keyed'> & Partial<KnownTable>,
): KnownTable => ({
  name,
  columns: new Map(),
  constraints: new Map(),
  dropped: [],
  persistence: 'permanent',
  alwaysFires: false,
  ...given,
});
