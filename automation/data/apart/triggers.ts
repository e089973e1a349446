import type pg from 'pg';
import { apartRole, sqlIdentifier, sqlLiteral } from '../../../infra/application/roles.ts';
import { rows } from '../connect.ts';
import { textForms } from '../text-forms.ts';
import { apartLock, apartPrefix, apartRows, keyOf, qualified, settling, type ApartTable } from './tables.ts';

/** The names of the triggers, of which a table has four. */
export const triggerNames = ['lock', 'value', 'record', 'arrive'].map((what) => `${apartPrefix}_${what}`);

/** A unique index or an exclusion constraint: two rows conflict where all expressions are equal by their operators. */
interface Unique {
  /** Of a partitioned table the partition alone that has it. */
  relation: string;
  ofRoot: boolean;
  expressions: string[];
  operators: string[];
  predicate: string | null;
  /** Two NULLs conflict. */
  nulls: boolean;
  exclusion: boolean;
  primary: boolean;
  hashed?: boolean;
}

const uniquesSql = `
  SELECT r.relid::regclass::text AS relation, r.relid = $1::regclass AS "ofRoot", pg_get_expr(i.indpred, i.indrelid) AS predicate,
    coalesce(to_jsonb(i) ->> 'indnullsnotdistinct', 'false') = 'true' AS nulls, i.indisexclusion AS exclusion, i.indisprimary AS primary,
    ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, false) FROM generate_series(1, i.indnkeyatts) k ORDER BY k) AS expressions,
    ARRAY(SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname) FROM generate_series(1, i.indnkeyatts) k
      JOIN pg_opclass c ON c.oid = i.indclass[k - 1]
      JOIN pg_operator o ON o.oid = CASE WHEN i.indisexclusion THEN x.conexclop[k] ELSE (SELECT a.amopopr FROM pg_amop a
        WHERE a.amopfamily = c.opcfamily AND a.amoplefttype = c.opcintype AND a.amoprighttype = c.opcintype AND a.amopstrategy = 3) END
      JOIN pg_namespace n ON n.oid = o.oprnamespace ORDER BY k) AS operators
  FROM (SELECT $1::regclass AS relid UNION SELECT relid FROM pg_partition_tree($1::regclass)) r
  JOIN pg_index i ON i.indrelid = r.relid AND (i.indisunique OR i.indisexclusion)
  JOIN pg_class ic ON ic.oid = i.indexrelid AND NOT ic.relispartition
  LEFT JOIN pg_constraint x ON x.conindid = i.indexrelid AND x.contype = 'x' ORDER BY i.indexrelid`;

const fixed = ['SET search_path = pg_catalog, pg_temp'];
const forms = [...fixed, ...Object.entries(textForms).map(([name, value]) => `SET ${name} = '${value}'`)];

/** Locks of unique values per index: a large transaction that is replicated has no more of them. */
const buckets = 1024;

/**
 * The triggers of a table that is apart. For rows that the application writes: two take locks, and one notes the keys. For rows that
 * are replicated: one removes noted rows that conflict with the row that arrives, so the replication never stops at them. It does not
 * see those of a transaction that is not committed yet, so it waits for the lock of each new unique value.
 */
export async function triggerStatements(client: pg.Client, table: ApartTable, index: number): Promise<string[]> {
  const uniques = await qualified(client, async () => {
    const found = await rows<Unique>(client, uniquesSql, [table.sql]);
    for (const unique of found) unique.hashed = await canHash(client, table, unique);
    return found;
  });
  // While it waits for local writers, they and not the replication end a deadlock.
  const patient = await mayBePatient(client);
  const name = (what: string): string => `greenlight.apart_${what}_${index}`;
  const trigger = (what: string, when: string): string =>
    `CREATE TRIGGER ${apartPrefix}_${what} ${when} EXECUTE FUNCTION ${name(what)}()`;
  const create = (what: string, settings: string[], body: string): string =>
    `CREATE FUNCTION ${name(what)}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER ${settings.join(' ')} AS ${sqlLiteral(`#variable_conflict use_column\nBEGIN ${body} END`)}`;
  const each = (work: (unique: Unique, lock: number) => string): string =>
    uniques.map((unique, at) => work(unique, 71_617_000 + index * 100 + at)).join(' ');
  return [
    create('lock', fixed, `IF ${isOpen} THEN PERFORM pg_advisory_xact_lock_shared(${apartLock}); END IF; RETURN NULL;`),
    create(
      'value',
      fixed,
      `IF ${isOpen} THEN ${each((unique, lock) => onNewValue(unique, lockValue(unique, 'pg_advisory_xact_lock_shared', lock)))} END IF; RETURN NEW;`,
    ),
    create(
      'record',
      forms,
      `IF ${isOpen} THEN
        IF TG_OP <> 'INSERT' THEN ${note(table, 'OLD')} END IF;
        IF TG_OP <> 'DELETE' THEN ${note(table, 'NEW')} END IF;
      END IF; RETURN NULL;`,
    ),
    create(
      'arrive',
      forms,
      `IF current_setting('${settling}', true) = 'on' THEN RETURN NEW; END IF; ${patient ? `PERFORM set_config('deadlock_timeout', '1min', true);` : ''}
       ${each((unique, lock) => onNewValue(unique, lockValue(unique, 'pg_advisory_xact_lock', lock) + remove(table, unique)))} RETURN NEW;`,
    ),
    trigger('lock', `BEFORE INSERT OR UPDATE OR DELETE ON ${table.sql} FOR EACH STATEMENT`),
    trigger('value', `BEFORE INSERT OR UPDATE ON ${table.sql} FOR EACH ROW`),
    trigger('record', `AFTER INSERT OR UPDATE OR DELETE ON ${table.sql} FOR EACH ROW`),
    trigger('arrive', `BEFORE INSERT OR UPDATE ON ${table.sql} FOR EACH ROW`),
    `ALTER TABLE ${table.sql} ENABLE REPLICA TRIGGER ${apartPrefix}_arrive`,
  ];
}

/** SQL: the expressions of an index for the row that is written. */
const valueOf = ({ expressions, predicate }: Unique, record: 'OLD' | 'NEW'): string =>
  `(SELECT ROW(${expressions.join(', ')}) FROM (SELECT ${record}.*) n${predicate === null ? '' : ` WHERE ${predicate}`})`;

/** SQL: `work`, unless the row has the same value as before, or is in another partition than the index. */
function onNewValue(unique: Unique, work: string): string {
  const here = unique.ofRoot ? '' : ` AND TG_RELID = ${sqlLiteral(unique.relation)}::regclass`;
  const changed = `(CASE WHEN TG_OP = 'INSERT' THEN true ELSE ${valueOf(unique, 'OLD')}::text IS DISTINCT FROM ${valueOf(unique, 'NEW')}::text END)`;
  return `IF ${changed}${here} THEN ${work} END IF;`;
}

const lockValue = (unique: Unique, how: string, lock: number): string =>
  `PERFORM ${how}(${lock}, ${unique.hashed === true ? `coalesce((hash_record_extended(${valueOf(unique, 'NEW')}, 0) & ${buckets - 1})::int, 0)` : '0'});`;

/** Whether the values have a hash that is the same for values that are equal. An exclusion constraint knows more than equal ones. */
async function canHash(client: pg.Client, table: ApartTable, { expressions, exclusion }: Unique): Promise<boolean> {
  if (exclusion) return false;
  await client.query('SAVEPOINT hash');
  const sql = `SELECT hash_record_extended(ROW(${expressions.join(', ')}), 0) FROM (SELECT n.* FROM (SELECT) AS one LEFT JOIN ${table.sql} n ON false) AS n`;
  const can = await client.query(sql).then(
    () => true,
    () => false,
  );
  await client.query(can ? 'RELEASE SAVEPOINT hash' : 'ROLLBACK TO SAVEPOINT hash');
  return can;
}

/** SQL: the table is still apart. After a cutover the triggers are quiet until they are gone. */
const isOpen = `EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid JOIN pg_roles a ON a.oid = m.member
  WHERE r.rolname = '${apartRole}' AND a.rolname = 'app')`;

const note = (table: ApartTable, of: string): string =>
  `INSERT INTO ${apartRows} (relation, key) VALUES (${sqlLiteral(table.sql)}, ${keyOf(table, of)}) ON CONFLICT DO NOTHING;`;

function remove(
  table: ApartTable,
  { relation, ofRoot, expressions, operators, predicate, nulls, primary }: Unique,
): string {
  // Names that no column has: what is not qualified is a column of the table, and within `n` one of the row that arrives.
  const [t, r, v] = ['greenlight_t', 'greenlight_r', 'greenlight_v'];
  const arriving = expressions.map((expression, at) => `${expression} AS ${v}${at}`).join(', ');
  const where = predicate === null ? '' : ` WHERE ${predicate}`;
  const equal = expressions.map((expression, at) => {
    const same = `(${expression}) ${operators[at]} ${v}.${v}${at}`;
    return nulls ? `(${same} OR (${expression}) IS NULL AND ${v}.${v}${at} IS NULL)` : same;
  });
  const pair = (of: string): string => table.key.map(({ name }) => `${of}.${sqlIdentifier(name)}`).join(', ');
  const conditions = [
    ...equal,
    ...(predicate === null ? [] : [`(${predicate})`]),
    `(TG_OP = 'INSERT' OR ROW(${pair(t)}) IS DISTINCT FROM ROW(${pair('OLD')}))`,
    // A row of the same key gives way in any case: what an undone fence let through comes back as its own echo.
    `(${primary ? `TG_OP = 'INSERT' OR ` : ''}EXISTS (SELECT FROM ${apartRows} ${r} WHERE ${r}.relation = ${sqlLiteral(table.sql)} AND ${r}.key = ${keyOf(table, t)}))`,
  ];
  const from = ofRoot ? table.sql : relation;
  return `DELETE FROM ${from} ${t} USING (SELECT ${arriving} FROM (SELECT NEW.*) n${where}) ${v} WHERE ${conditions.join(' AND ')};`;
}

/** Whether the session may set the timeout, and so the apply worker, which is the same role. */
const mayBePatient = (client: pg.Client): Promise<boolean> =>
  rows<{ may: boolean }>(client, `SELECT rolsuper AS may FROM pg_roles WHERE rolname = current_user`).then(
    ([found]) => found?.may === true,
  );
