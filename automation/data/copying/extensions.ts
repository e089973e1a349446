import type pg from 'pg';
import { OperationError } from '../../../infra/lib/errors.ts';
import { sqlIdentifier, sqlLiteral } from '../../../infra/application/roles.ts';
import { row, rows } from '../connect.ts';
import { set } from './settings.ts';

/**
 * Extensions as the owner has made and changed them. A dump creates each anew, as its own user: it has neither the owner nor what
 * was changed of the functions.
 */

interface Extension {
  name: string;
  schema: string;
  version: string;
  owner: string;
  trusted: boolean;
}

const extensionsSql = `
  SELECT e.extname AS name, n.nspname AS schema, e.extversion AS version, pg_get_userbyid(e.extowner) AS owner, NOT o.rolsuper AS trusted
  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace JOIN pg_roles o ON o.oid = e.extowner ORDER BY e.oid`;

/** Creates the extensions of `from` on `to`, and changes their functions alike. Resolves to the schemas that it made. */
export async function carryExtensions(from: pg.Client, to: pg.Client): Promise<string[]> {
  const there = new Set((await rows<Extension>(to, extensionsSql)).map(({ name }) => name));
  const schemas: string[] = [];
  for (const extension of await rows<Extension>(from, extensionsSql)) {
    if (there.has(extension.name)) continue;
    const { made } = await row<{ made: boolean }>(
      to,
      'SELECT NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1) AS made',
      [extension.schema],
    );
    await create(to, extension, made);
    if (made) schemas.push(extension.schema);
  }
  await requireSameMembers(from, to);
  await carryFunctions(from, to);
  return schemas;
}

async function create(client: pg.Client, extension: Extension, withSchema: boolean): Promise<void> {
  const { name, schema, version, owner, trusted } = extension;
  const [known] = await rows(client, 'SELECT FROM pg_available_extension_versions WHERE name = $1 AND version = $2', [
    name,
    version,
  ]);
  if (withSchema) await client.query(`CREATE SCHEMA ${sqlIdentifier(schema)} AUTHORIZATION ${sqlIdentifier(owner)}`);
  const exactly = known === undefined ? '' : ` VERSION ${sqlLiteral(version)}`;
  const sql = `CREATE EXTENSION ${sqlIdentifier(name)} SCHEMA ${sqlIdentifier(schema)}${exactly}`;
  const asOwner = `SET LOCAL ROLE ${sqlIdentifier(owner)}; ${sql}`;
  // Nobody can be made owner of an extension afterwards. One that was made by a superuser before, it has to be made by one again.
  try {
    await client.query(`BEGIN; ${trusted ? asOwner : sql}; COMMIT`);
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    if (!trusted) throw error;
    await client.query(sql);
  }
}

const membersSql = `
  SELECT e.extname AS extension, format('%I.%I', n.nspname, c.relname) AS name
  FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid JOIN pg_class c ON c.oid = d.objid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
  ORDER BY 1, 2`;

/** A relation that somebody has added to an extension is in no dump: it would be lost with its rows. */
async function requireSameMembers(from: pg.Client, to: pg.Client): Promise<void> {
  interface Member {
    extension: string;
    name: string;
  }
  const [wanted, present] = [await rows<Member>(from, membersSql), await rows<Member>(to, membersSql)];
  const lost = wanted.filter((one) => !present.some((p) => p.extension === one.extension && p.name === one.name));
  if (lost.length === 0) return;
  throw new OperationError(
    'carrying over the extensions',
    `the other side would not have ${lost.map(({ extension, name }) => `${name}, which belongs to ${extension}`).join('; ')}`,
    lost
      .map(
        ({ extension, name }) => `ALTER EXTENSION ${sqlIdentifier(extension)} DROP TABLE ${name} on the live database`,
      )
      .join('; '),
  );
}

interface Changeable {
  name: string;
  options: string;
  settings: string[];
}

const functionsSql = `
  SELECT p.oid::regprocedure::text AS name, coalesce(p.proconfig, '{}') AS settings,
    concat_ws(' ', CASE p.provolatile WHEN 'i' THEN 'IMMUTABLE' WHEN 's' THEN 'STABLE' ELSE 'VOLATILE' END,
      CASE p.proparallel WHEN 's' THEN 'PARALLEL SAFE' WHEN 'r' THEN 'PARALLEL RESTRICTED' ELSE 'PARALLEL UNSAFE' END,
      CASE WHEN p.proisstrict THEN 'STRICT' ELSE 'CALLED ON NULL INPUT' END,
      CASE WHEN p.prosecdef THEN 'SECURITY DEFINER' ELSE 'SECURITY INVOKER' END,
      CASE WHEN p.proleakproof THEN 'LEAKPROOF' ELSE 'NOT LEAKPROOF' END, 'COST ' || p.procost,
      CASE WHEN p.proretset THEN 'ROWS ' || p.prorows END) AS options
  FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
    JOIN pg_extension e ON e.oid = d.refobjid
  WHERE p.prokind IN ('f', 'w') AND e.extname || ' ' || e.extversion = ANY ($1::text[]) ORDER BY 1`;

/** What `ALTER FUNCTION` has changed of functions of extensions that have the same version on both sides. */
async function carryFunctions(from: pg.Client, to: pg.Client): Promise<void> {
  const versions = async (client: pg.Client) =>
    (await rows<Extension>(client, extensionsSql)).map(({ name, version }) => `${name} ${version}`);
  const own = await versions(to);
  const same = (await versions(from)).filter((one) => own.includes(one));
  // Only a search path that names none of their schemas makes PostgreSQL write whole names.
  const read = async (client: pg.Client): Promise<Changeable[]> => {
    await client.query('BEGIN; SET LOCAL search_path = pg_catalog');
    try {
      return await rows<Changeable>(client, functionsSql, [same]);
    } finally {
      await client.query('ROLLBACK');
    }
  };
  const present = new Map((await read(to)).map((one) => [one.name, one]));
  for (const wanted of await read(from)) {
    const old = present.get(wanted.name);
    if (old === undefined) continue;
    const change = `ALTER FUNCTION ${wanted.name}`;
    if (old.options !== wanted.options) await to.query(`${change} ${wanted.options}`);
    if (old.settings.join('\n') === wanted.settings.join('\n')) continue;
    await to.query(`${change} RESET ALL`);
    for (const setting of wanted.settings) {
      const at = setting.indexOf('=');
      await set(to, change, { name: setting.slice(0, at), value: setting.slice(at + 1) });
    }
  }
}

/** Tables in which extensions keep what users have configured. */
export const configurationTables = async (client: pg.Client): Promise<string[]> =>
  (
    await rows<{ name: string }>(
      client,
      `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_extension e, unnest(e.extconfig) t
       JOIN pg_class c ON c.oid = t JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY c.relkind = 'S', e.oid, c.oid`,
    )
  ).map(({ name }) => name);
