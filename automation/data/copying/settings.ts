import type pg from 'pg';
import { messageOf, OperationError } from '../../../infra/lib/errors.ts';
import { sqlIdentifier, sqlLiteral } from '../../../infra/application/roles.ts';
import { rows } from '../connect.ts';

/** Settings that the owner has made on the database or on roles. */

interface Setting {
  /** Empty: all roles. */
  role: string;
  /** Whether it holds in this database only. */
  here: boolean;
  name: string;
  value: string;
}

const settingsSql = `
  SELECT coalesce(r.rolname, '') AS role, s.setdatabase <> 0 AS here,
    split_part(c.setting, '=', 1) AS name, substr(c.setting, strpos(c.setting, '=') + 1) AS value
  FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) WITH ORDINALITY c (setting, at)
  WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
    AND (s.setdatabase <> 0 OR s.setrole <> 0) AND coalesce(r.rolname, '') !~ '^(pg_|rds)' AND coalesce(r.rolname, '') <> session_user
  ORDER BY 1, 2, c.at`;

/** Makes the settings of the database and of roles those of `from`. Throws an OperationError that names one that `to` does not take. */
export async function carrySettings(from: pg.Client, to: pg.Client, database: string): Promise<void> {
  const [wanted, present] = [await rows<Setting>(from, settingsSql), await rows<Setting>(to, settingsSql)];
  const at = ({ role, here }: Setting): string => {
    const where = here ? sqlIdentifier(database) : '';
    if (role === '') return `ALTER DATABASE ${where}`;
    return `ALTER ROLE ${sqlIdentifier(role)}${where === '' ? '' : ` IN DATABASE ${where}`}`;
  };
  const same = (a: Setting) => (b: Setting) => at(a) === at(b) && a.name === b.name && a.value === b.value;
  for (const setting of present)
    if (!wanted.some(same(setting))) await to.query(`${at(setting)} RESET ${setting.name}`);
  for (const setting of wanted.filter((one) => !present.some(same(one)))) await set(to, at(setting), setting);
}

/**
 * Stores a value as it is, whatever its rules of quoting are: it is made that of a transaction, and taken from there. The session
 * keeps nothing of it.
 */
export async function set(
  client: pg.Client,
  where: string,
  { name, value }: { name: string; value: string },
): Promise<void> {
  try {
    if (name === 'role') {
      await client.query(`${where} SET role TO ${sqlLiteral(value)}`);
      return;
    }
    await client.query('BEGIN READ WRITE');
    await client.query('SELECT set_config($1, $2, true)', [name, value]);
    await client.query(`${where} SET ${name.split('.').map(sqlIdentifier).join('.')} FROM CURRENT`);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw new OperationError(
      `carrying over a setting: ${where} SET ${name}`,
      messageOf(error),
      'reset it on the live database if nothing needs it, or let the other server know it',
      { cause: error },
    );
  }
}
