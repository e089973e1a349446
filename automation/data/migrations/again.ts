import type pg from 'pg';
import { sqlIdentifier } from '../../../infra/application/roles.ts';
import { rows } from '../connect.ts';
import { forgetLoosened, loosenedOn, type Loosened } from '../loosened.ts';
import type { Statement } from './statements.ts';
import { stringsOf } from './tree.ts';

/**
 * Expand migrations on a copy of a database that has taken their loosening already, at an earlier try: after its way back, rows there need
 * it. What the migration would drop stands there again under its name, and what it would add is not added twice.
 */

const isCheck = ({ kind, was }: Loosened): boolean => kind === 'constraint' && was?.startsWith('CHECK ') === true;

/** Whose a constraint is; undefined where the database does not have it. `$1`: its name as in the catalog. */
const ownerSql = `
  SELECT CASE WHEN t.oid IS NULL THEN 'TABLE' ELSE 'DOMAIN' END AS kind, format('%I.%I', n.nspname, coalesce(c.relname, t.typname)) AS of,
    k.name AS name, pg_get_userbyid(coalesce(c.relowner, t.typowner)) AS owner,
    EXISTS (SELECT FROM pg_constraint x WHERE (x.conrelid = c.oid OR x.contypid = t.oid) AND x.conname = k.name) AS taken
  FROM (SELECT parse_ident($1) AS p) i, LATERAL (SELECT p[1] AS schema, p[2] AS of, p[3] AS name FROM (SELECT i.p) x) k
  JOIN pg_namespace n ON n.nspname = k.schema
  LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = k.of AND c.relkind IN ('r', 'p')
  LEFT JOIN pg_type t ON t.typnamespace = n.oid AND t.typname = k.of AND t.typtype = 'd'
  WHERE c.oid IS NOT NULL OR t.oid IS NOT NULL`;

interface Owned {
  kind: 'TABLE' | 'DOMAIN';
  of: string;
  name: string;
  owner: string;
  taken: boolean;
}

/** Before the migrations. Session as admin. May be repeated. Resolves to what the earlier try had loosened. */
export async function standIn(client: pg.Client): Promise<Loosened[]> {
  const loosened = await loosenedOn(client);
  for (const one of loosened.filter(isCheck)) {
    // Of a partition it comes along with that of its table.
    if (/\ninherited$/m.test(one.was ?? '')) continue;
    const [owned] = await rows<Owned>(client, ownerSql, [one.name]);
    if (owned === undefined || owned.taken) continue;
    const { kind, of, name, owner } = owned;
    await client.query(
      `BEGIN; SET LOCAL ROLE ${sqlIdentifier(owner)}; ALTER ${kind} ${of} ADD CONSTRAINT ${sqlIdentifier(name)} CHECK (true) NOT VALID; COMMIT`,
    );
  }
  return loosened;
}

/** After the migrations: what none of them has dropped goes, and nothing is remembered any more. */
export async function standDown(client: pg.Client, loosened: readonly Loosened[]): Promise<void> {
  const standIns = `
    SELECT format('ALTER %s DROP CONSTRAINT %I', CASE WHEN conrelid <> 0 THEN 'TABLE ' || conrelid::regclass ELSE 'DOMAIN ' || contypid::regtype END, conname) AS sql
    FROM pg_constraint WHERE contype = 'c' AND NOT convalidated AND coninhcount = 0 AND pg_get_constraintdef(oid) = 'CHECK (true) NOT VALID'`;
  if (loosened.some(isCheck))
    for (const { sql } of await rows<{ sql: string }>(client, standIns)) await client.query(sql);
  await forgetLoosened(client);
}

/** Whether an earlier try has done already what a statement does: `client` is the session that would run it. */
export async function isDone(
  client: pg.Client,
  { node, text }: Statement,
  loosened: readonly Loosened[],
): Promise<boolean> {
  if (node === undefined) return false;
  if ('AlterEnumStmt' in node) {
    const { typeName, oldVal, newVal } = node.AlterEnumStmt;
    const types = loosened.filter(({ kind }) => kind === 'type').map(({ name }) => name);
    if (oldVal !== undefined || newVal === undefined || types.length === 0) return false;
    const name = stringsOf(typeName).map(sqlIdentifier).join('.');
    const known = `SELECT FROM pg_enum WHERE enumtypid = to_regtype($1) AND enumlabel = $2
      AND enumtypid IN (SELECT to_regtype(t) FROM unnest($3::text[]) AS x (t))`;
    return (await rows(client, known, [name, newVal, types])).length > 0;
  }
  if ('CreateStmt' in node && node.CreateStmt.partbound !== undefined) {
    const { schemaname, relname = '' } = node.CreateStmt.relation ?? {};
    const tables = loosened.filter(({ kind }) => kind === 'table').map(({ name }) => name);
    const name = [...(schemaname === undefined ? [] : [schemaname]), relname].map(sqlIdentifier).join('.');
    const known = 'SELECT WHERE to_regclass($1) IN (SELECT to_regclass(t) FROM unnest($2::text[]) AS x (t))';
    if (tables.length === 0 || (await rows(client, known, [name, tables])).length === 0) return false;
    return isMadeBy(client, name, text);
  }
  return false;
}

/**
 * Whether a partition is what `statement` makes, which is tried and taken back. One that is another one goes where it is empty. Else the
 * statement will fail.
 */
async function isMadeBy(client: pg.Client, name: string, statement: string): Promise<boolean> {
  interface Partition {
    parent: string;
    says: string;
  }
  const read = async (): Promise<Partition | undefined> =>
    (
      await rows<Partition>(
        client,
        `SELECT i.inhparent::regclass::text AS parent, concat_ws(' ', i.inhparent, pg_get_expr(c.relpartbound, c.oid), pg_get_partkeydef(c.oid)) AS says
         FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid WHERE c.oid = to_regclass($1) AND c.relispartition`,
        [name],
      )
    )[0];
  const there = await read();
  if (there === undefined) return false;
  await client.query(
    `SAVEPOINT greenlight; ALTER TABLE ${there.parent} DETACH PARTITION ${name}; ALTER TABLE ${name} RENAME TO greenlight_earlier`,
  );
  const wanted = await client.query(statement).then(read, () => undefined);
  await client.query('ROLLBACK TO greenlight; RELEASE greenlight');
  if (wanted?.says === there.says) return true;
  if ((await rows(client, `SELECT FROM ${name} LIMIT 1`)).length === 0) await client.query(`DROP TABLE ${name}`);
  return false;
}
