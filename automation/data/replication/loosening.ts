import { splitColumn, type DatabaseObject, type ObjectDifference } from '../objects/compare.ts';
import { changeOf, type ColumnType } from '../type-change.ts';
import { newValues, partitionOf, partitionStatements } from './definitions.ts';

/**
 * What an expand migration has loosened: rows that the new side takes and the old one would refuse. Found in the two catalogs, so it does
 * not matter which statement did it.
 */
export interface Loosening extends Pick<ObjectDifference, 'kind' | 'name'> {
  /** For people: `column public.codes.code: character varying(50) instead of character varying(20)`. */
  says: string;
  /** The definition on the old side; undefined where that does not have it. */
  was?: string | undefined;
  /** Who runs the statements, quoted. */
  owner: string;
  /** What lets the old side take the same rows. None for what follows from a parent table. */
  statements: string[];
  /** Where PostgreSQL refuses these, after all the others. */
  otherwise?: string[];
  /** Why it is not repeated; absent where it is. */
  not?: string;
  /** A column of another type: what depends on it on the old side stands in its way. */
  retyped?: { table: string; column: string };
}

/** A unique rule is more than a restriction: INSERT ... ON CONFLICT of the old version needs it. */
const upserts = 'the old version may need it for INSERT ... ON CONFLICT';
const rewritten = 'the table would be written anew, and the old version would meet another type';

/**
 * What of `differences` loosens, the old side being left; they are those that the migrations made. `old`: the catalog of the old side. Only
 * what changes nothing for the old version but the rows that it meets is repeated. Pure.
 */
export function looseningsIn(differences: readonly ObjectDifference[], old: readonly DatabaseObject[]): Loosening[] {
  const owners = new Map(
    old
      .filter(({ kind }) => ['table', 'domain', 'type'].includes(kind))
      .map(({ kind, name, definition }) => [`${kind} ${name}`, ownerIn(definition)]),
  );
  return differences.flatMap((difference) => loosening(difference, owners) ?? []);
}

const ownerIn = (definition: string): string => (definition.split('\n')[0] ?? '').slice('owner '.length);
const isInherited = (definition: string): boolean => /\ninherited$/m.test(definition);

type Owners = ReadonlyMap<string, string>;

function loosening({ kind, name, left, right }: ObjectDifference, owners: Owners): Loosening | undefined {
  if (kind === 'table') return partition(name, left, right, owners);
  if (left === undefined) return undefined;
  const object = { kind, name, was: left };
  switch (kind) {
    case 'column': {
      const { table } = splitColumn(name);
      const owner = owners.get(`table ${table}`);
      return owner === undefined || right === undefined ? undefined : column({ ...object, owner }, left, right);
    }
    case 'constraint': {
      const { table } = splitColumn(name);
      const of = owners.has(`domain ${table}`) ? 'DOMAIN' : 'TABLE';
      const owner = owners.get(`${of.toLowerCase()} ${table}`);
      return owner === undefined ? undefined : constraint({ ...object, owner }, of, left, right);
    }
    case 'index':
      if (!/^CREATE UNIQUE INDEX /.test(left) || (right !== undefined && /^CREATE UNIQUE INDEX /.test(right)))
        return undefined;
      return { ...object, owner: '', statements: [], says: `index ${name} is dropped`, not: upserts };
    case 'type': {
      const statements = newValues(name, left, right);
      const owner = owners.get(`type ${name}`);
      if (statements === undefined || owner === undefined) return undefined;
      return { ...object, owner, statements, says: `type ${name}: ${statements.map(valueIn).join(', ')}` };
    }
    case 'domain': {
      const owner = owners.get(`domain ${name}`);
      if (owner === undefined || right === undefined || left.replace(' NOT NULL', '') !== right) return undefined;
      if (left === right) return undefined;
      return {
        ...object,
        owner,
        statements: [`ALTER DOMAIN ${name} DROP NOT NULL`],
        says: `domain ${name} may be null`,
      };
    }
    default:
      return undefined;
  }
}

const valueIn = (statement: string): string => (/ ADD VALUE (E?'(?:[^']|'')*')/.exec(statement) ?? [])[1] ?? '';

/** A partition of a table of both sides: rows in its range have no place on the old one. */
function partition(
  name: string,
  left: string | undefined,
  right: string | undefined,
  owners: Owners,
): Loosening | undefined {
  if (left !== undefined || right === undefined) return undefined;
  const found = partitionOf(right);
  if (found === undefined) return undefined;
  const owner = owners.get(`table ${found.parent}`) ?? found.owner;
  const given = owner === found.owner ? [] : ['RESET ROLE', `ALTER TABLE ${name} OWNER TO ${found.owner}`];
  return {
    kind: 'table',
    name,
    owner,
    statements: [...partitionStatements(name, right), ...given],
    says: `partition ${name}`,
  };
}

type Object = Pick<Loosening, 'kind' | 'name' | 'was' | 'owner'>;

function column(object: Object, left: string, right: string): Loosening | undefined {
  const [mine = '', ...rest] = left.split('\n');
  const [theirs = '', ...others] = right.split('\n');
  const { table, column: name } = splitColumn(object.name);
  const change = mine === theirs ? undefined : changeOf(typeIn(mine), typeIn(theirs));
  const wider = change?.kind === 'wider';
  const nullable = rest.includes('NOT NULL') && !others.includes('NOT NULL');
  if (!wider && !nullable) return undefined;
  const says = [...(wider ? [`${theirs} instead of ${mine}`] : []), ...(nullable ? ['may be null'] : [])].join(', ');
  const base = { ...object, says: `column ${object.name}: ${says}` };
  if (wider && change.rewrites) return { ...base, statements: [], not: rewritten };
  const alter = `ALTER TABLE ${table} ALTER COLUMN ${name}`;
  const inherited = rest.includes('inherited');
  return {
    ...base,
    statements: [
      ...(wider && !inherited ? [`${alter} TYPE ${theirs}`] : []),
      ...(nullable && !inherited ? [`${alter} DROP NOT NULL`] : []),
    ],
    ...(wider ? { retyped: { table, column: name } } : {}),
  };
}

function constraint(
  object: Object,
  of: 'TABLE' | 'DOMAIN',
  left: string,
  right: string | undefined,
): Loosening | undefined {
  const { table, column: name } = splitColumn(object.name);
  const [rule = ''] = left.split('\n');
  const [other] = right?.split('\n') ?? [];
  if (essence(rule) === essence(other)) return undefined;
  if (rule.startsWith('CHECK ')) return check(object, `ALTER ${of} ${table}`, left, other);
  if (other !== undefined) return undefined;
  // Replicated rows are not checked. So it stays for what the old version writes, and says that it holds no longer for all rows.
  if (rule.startsWith('FOREIGN KEY ')) {
    const kept = `ALTER TABLE ${table} DROP CONSTRAINT ${name}, ADD CONSTRAINT ${name} ${rule} NOT VALID`;
    const statements = isInherited(left) || rule.endsWith(' NOT VALID') ? [] : [kept];
    return { ...object, statements, says: `constraint ${object.name} is NOT VALID` };
  }
  return isInherited(left)
    ? undefined
    : { ...object, statements: [], says: `constraint ${object.name} is dropped`, not: upserts };
}

/**
 * In the place of a CHECK that is another one now, which may be stricter, comes one that takes what either takes: the old version stays
 * guarded. Where the old side lacks what the other one speaks of, it goes.
 */
function check(object: Object, alter: string, left: string, other: string | undefined): Loosening | undefined {
  const { column: name } = splitColumn(object.name);
  const drop = `${alter} DROP CONSTRAINT IF EXISTS ${name}`;
  const says = `constraint ${object.name} is ${other === undefined ? 'dropped' : 'another one'}`;
  if (isInherited(left)) return { ...object, statements: [], says };
  const [mine, theirs] = [conditionOf(left.split('\n')[0]), conditionOf(other)];
  if (mine === undefined || theirs === undefined) return { ...object, statements: [drop], says };
  // An earlier try has done it.
  if (mine.endsWith(` OR ${theirs})`)) return undefined;
  const inherits = / NO INHERIT( |$)/m.test(left) ? ' NO INHERIT' : '';
  const either = `${alter} ADD CONSTRAINT ${name} CHECK (${mine} OR ${theirs})${inherits} NOT VALID`;
  return { ...object, statements: [drop, either], otherwise: [drop], says };
}

/** What is in the parentheses of a CHECK. */
const conditionOf = (rule = ''): string | undefined =>
  /^CHECK \((.*)\)(?: NO INHERIT)?(?: NOT ENFORCED)?(?: NOT VALID)?$/s.exec(rule)?.[1];

/** Another type of a column is in the text of a rule as a cast; what is cast is in parentheses then. */
const cast =
  '::(?:"[^"]+"|[a-z_0-9]+(?: varying| precision)?)(?:\\(\\d+(?:,\\d+)?\\))?(?: with(?:out)? time zone)?(?:\\[\\])*';
const casts = new RegExp(`\\(([^()]*)\\)${cast}|${cast}`, 'g');

/** A rule without what a wider column changes in its text, and without whether older rows were looked at. */
function essence(rule: string | undefined): string | undefined {
  const shorter = rule?.replace(/ NOT VALID$/, '').replace(casts, '$1');
  return shorter === rule ? rule : essence(shorter);
}

/** Names of `format_type`, as the parser of SQL has them. */
const parsed: Record<string, string> = {
  'character varying': 'varchar',
  character: 'bpchar',
  smallint: 'int2',
  integer: 'int4',
  bigint: 'int8',
  real: 'float4',
  'double precision': 'float8',
  'bit varying': 'varbit',
  'timestamp without time zone': 'timestamp',
  'timestamp with time zone': 'timestamptz',
  'time without time zone': 'time',
  'time with time zone': 'timetz',
};

/** `character varying(20)` as a type. */
function typeIn(text: string): ColumnType {
  const array = text.endsWith('[]');
  const [, before = '', modifiers, after = ''] =
    /^([^(]*?)(?:\(([\d,]+)\))?([^()]*)$/.exec(text.replace(/\[\]$/, '')) ?? [];
  const name = `${before}${after}`;
  return { name: parsed[name] ?? name, modifiers: modifiers?.split(',').map(Number) ?? [], array };
}
