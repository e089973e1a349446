import pg from 'pg';
import { sqlIdentifier } from '../../../infra/application/roles.ts';
import type { Link } from '../link.ts';
import { newValues } from './definitions.ts';
import type { SchemaDrift } from './schema-drift.ts';

/** Lock timeout of one statement, ms: a replica that cannot be changed now is compared again later. */
const lockMs = 2_000;

/**
 * Makes a change on the side that follows, where `still` says so once its locks are held. Resolves to whether PostgreSQL has made it: else
 * it stays a difference, which the next comparison names.
 */
export async function replay(
  target: pg.Client,
  statements: string[],
  still?: () => Promise<boolean>,
): Promise<boolean> {
  const making = `BEGIN; SET LOCAL lock_timeout = ${lockMs}; SET LOCAL check_function_bodies = off; ${statements.join('; ')}`;
  try {
    await target.query(still === undefined ? `${making}; COMMIT` : making);
    if (still === undefined) return true;
    const made = await still();
    await target.query(made ? 'COMMIT' : 'ROLLBACK');
    return made;
  } catch (error) {
    await target.query('ROLLBACK');
    if (!(error instanceof pg.DatabaseError)) throw error;
    return false;
  }
}

/** The statements that make the side that follows like the live one; undefined if that is not safe. */
export function statementsFor(drift: SchemaDrift, { from, to }: Link): string[] | undefined {
  if (drift.on !== from.colour || drift.migrated) return undefined;
  const { kind, name, left, right } = drift;
  const database = sqlIdentifier(to.access.database);
  switch (kind) {
    case 'function':
    case 'procedure':
    case 'view':
      return body(left, right);
    case 'type':
      return newValues(name, right, left);
    case 'grant':
    case 'column grant':
      return rights(name, left, right, database);
    case 'missing grant':
      return rights(name, right, left, database);
    case 'comment':
      return comment(name, left);
    case 'setting':
      return setting(name, left, database);
    default:
      return undefined;
  }
}

/** The first line of a definition says the owner. An option of a view follows its statement, which would reset it. */
function body(left: string | undefined, right: string | undefined): string[] | undefined {
  if (left === undefined) return undefined;
  const [owner = '', ...lines] = left.split('\n');
  const statement = lines.join('\n').trimEnd();
  const view = statement.startsWith('CREATE OR REPLACE VIEW');
  if (view && (right === undefined || !statement.endsWith(';'))) return undefined;
  if (right !== undefined && right.split('\n')[0] !== owner) return undefined;
  return [`SET LOCAL ROLE ${owner.slice('owner '.length)}`, statement.replace(/;$/, ''), 'RESET ROLE'];
}

function rights(
  name: string,
  wanted: string | undefined,
  present: string | undefined,
  database: string,
): string[] | undefined {
  const [want, have] = [wanted, present].map((list) => list?.split(', ') ?? []) as [string[], string[]];
  if ([...want, ...have].some((privilege) => privilege.endsWith(' WITH GRANT OPTION'))) return undefined;
  const on = name.replace(/^ON this database /, `ON DATABASE ${database} `);
  const at = on.lastIndexOf(' TO ');
  const from = `${on.slice(0, at)} FROM ${on.slice(at + ' TO '.length)}`;
  const taken = have.filter((privilege) => !want.includes(privilege));
  return [
    ...(taken.length === 0 ? [] : [`REVOKE ${taken.join(', ')} ${from}`]),
    ...(want.length === 0 ? [] : [`GRANT ${want.join(', ')} ${on}`]),
  ];
}

/** As PostgreSQL names kinds of objects, longest first, and as COMMENT does. */
const commented: [string, string][] = [
  ['table column', 'COLUMN'],
  ['table constraint', 'CONSTRAINT'],
  ['view column', 'COLUMN'],
  ['materialized view column', 'COLUMN'],
  ['statistics object', 'STATISTICS'],
  ...['materialized view', 'table', 'view', 'function', 'procedure', 'aggregate', 'type', 'collation']
    .concat('schema', 'sequence', 'index', 'trigger', 'rule', 'policy', 'extension', 'language', 'role')
    .map((kind): [string, string] => [kind, kind.toUpperCase()]),
];

function comment(name: string, text: string | undefined): string[] | undefined {
  const found = commented.find(([kind]) => name.startsWith(`on ${kind} `));
  if (found === undefined) return undefined;
  const [kind, sql] = found;
  return [
    `COMMENT ON ${sql} ${name.slice(`on ${kind} `.length)} IS ${text === undefined ? 'NULL' : pg.escapeLiteral(text)}`,
  ];
}

/** Their values are lists of names, and written as such. See `variable_is_guc_list_quote` of pg_dump. */
const lists = new Set(['search_path', 'local_preload_libraries', 'session_preload_libraries', 'temp_tablespaces']);

/** A setting of the application's own is known by a hash only. */
function setting(name: string, definition: string | undefined, database: string): string[] | undefined {
  const [, parameter = '', of = ''] = /^(\S+) of (.*)$/.exec(name) ?? [];
  if (!/^\w+$/.test(parameter)) return undefined;
  const target =
    of === 'this database'
      ? `DATABASE ${database}`
      : of.replace(
          /^role (.*?)( in this database)?$/,
          (_, role, here) => `ROLE ${role}${here === undefined ? '' : ` IN DATABASE ${database}`}`,
        );
  if (definition === undefined) return [`ALTER ${target} RESET ${parameter}`];
  const value = definition.slice(definition.indexOf('=') + 1);
  return [`ALTER ${target} SET ${parameter} = ${lists.has(parameter) ? value : pg.escapeLiteral(value)}`];
}
