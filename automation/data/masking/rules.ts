/** Ways to mask a value. `automation/config/schema-data.ts` describes them for users. */
export const maskKinds = ['email', 'name', 'text', 'hash', 'digits', 'card', 'iban', 'ip', 'date', 'null'] as const;
export type MaskKind = (typeof maskKinds)[number];

export interface MaskRule {
  /** `people`, or `crm.people` where several schemas have such a table. */
  table: string;
  column: string;
  with: MaskKind;
  /** Where in a json column: keys joined by dots; `*` is every key and every element. Absent: all of the value. */
  path?: string | undefined;
}

/** A column that looks personal and is not. */
export interface Harmless {
  table: string;
  column: string;
  reason: string;
}

/** Characters that a mask takes, and the least in which masks of different values still differ; undefined: as the value. */
export const sizes: Record<MaskKind, { full: number; least: number } | undefined> = {
  email: { full: 37, least: 18 },
  name: { full: 22, least: 8 },
  hash: { full: 64, least: 8 },
  text: { full: 16, least: 1 },
  digits: undefined,
  card: undefined,
  iban: undefined,
  ip: undefined,
  date: undefined,
  null: undefined,
};

/** Kinds under which a masked value can be another person's original: the values are dense. */
export const dense: ReadonlySet<MaskKind> = new Set(['digits', 'card', 'iban', 'date', 'null']);

const families = {
  text: ['email', 'name', 'text', 'hash', 'digits', 'card', 'iban', 'ip', 'null'],
  json: ['email', 'name', 'text', 'hash', 'digits', 'card', 'iban', 'ip', 'null'],
  tsvector: ['text', 'null'],
  uuid: ['hash', 'null'],
  inet: ['ip', 'null'],
  bytea: ['hash', 'null'],
  mac: ['hash', 'null'],
  number: ['digits', 'null'],
  time: ['date', 'null'],
  other: ['null'],
} as const satisfies Record<string, readonly MaskKind[]>;

/** What a column holds, as far as masking is concerned. */
export type Family = keyof typeof families;

export const kindsOf = (family: Family): readonly MaskKind[] => families[family];

/** The family of a type of PostgreSQL, by the name of its base type and its category in `pg_type`. */
export function familyOf(type: string, category: string): Family {
  if (category === 'S') return 'text';
  if (type === 'json' || type === 'jsonb') return 'json';
  if (type === 'tsvector' || type === 'uuid' || type === 'inet' || type === 'bytea') return type;
  if (type === 'macaddr' || type === 'macaddr8') return 'mac';
  if (['int2', 'int4', 'int8', 'numeric'].includes(type)) return 'number';
  return ['date', 'timestamp', 'timestamptz'].includes(type) ? 'time' : 'other';
}
