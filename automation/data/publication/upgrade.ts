import type pg from 'pg';
import { applicationDatabase } from '../../../infra/application/roles.ts';
import { row, rows, serverVersion } from '../connect.ts';
import type { Finding } from './publishable.ts';

/** What stands against a copy by rows because the other server is another one: its version, its extensions, its settings, its locale. */

type Found = Omit<Finding, 'side'>;

/** Sessions as admin on the live database and on the one that takes its rows. */
export async function otherVersion(live: pg.Client, other: pg.Client): Promise<Found[]> {
  const [from, to] = [serverVersion(live) ?? 0, serverVersion(other) ?? 0];
  if (from > to)
    return [
      {
        severity: 'error',
        found: `it is PostgreSQL ${to}, and the live one is ${from}: an older version does not understand what a newer one has`,
        cure: `let it be PostgreSQL ${from} or newer`,
      },
    ];
  return [
    ...(await extensions(live, other, from === to)),
    ...(await settings(live, other)),
    ...(await collation(live, other)),
    ...(await passwords(live)),
  ];
}

async function extensions(live: pg.Client, other: pg.Client, sameVersion: boolean): Promise<Found[]> {
  interface Version {
    name: string;
    version: string;
  }
  const installed = await rows<Version>(live, 'SELECT extname AS name, extversion AS version FROM pg_extension');
  const available = await rows<Version>(other, 'SELECT name, version FROM pg_available_extension_versions');
  return installed.flatMap(({ name, version }): Found[] => {
    const there = available.filter((one) => one.name === name);
    if (there.some((one) => one.version === version)) return [];
    if (sameVersion || there.length === 0)
      return [
        {
          severity: 'error',
          found: `extension ${name} ${version} is not available`,
          cure: `install the package of ${name} on that server, or drop the extension where nothing needs it`,
        },
      ];
    return [
      {
        severity: 'warning',
        found: `extension ${name} ${version} is not available: it gets the version that its server has by default`,
        cure: 'read what that version changes, and try the application on it',
      },
    ];
  });
}

/** Settings that a newer version does not have any more. One with a dot is of an extension or of the application. */
async function settings(live: pg.Client, other: pg.Client): Promise<Found[]> {
  const made = await rows<{ name: string; where: string }>(
    live,
    `SELECT DISTINCT split_part(c, '=', 1) AS name, CASE WHEN s.setrole = 0 THEN 'the database' ELSE 'role ' || s.setrole::regrole END AS where
     FROM pg_db_role_setting s, unnest(s.setconfig) c
     WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) AND split_part(c, '=', 1) NOT LIKE '%.%' ORDER BY 1, 2`,
  );
  // Some names that were changed are still known by the old one.
  const unknown = await rows<{ name: string }>(
    other,
    'SELECT n AS name FROM unnest($1::text[]) n WHERE current_setting(n, true) IS NULL',
    [made.map(({ name }) => name).filter((name) => name !== 'role')],
  );
  return made
    .filter(({ name }) => unknown.some((one) => one.name === name))
    .map(({ name, where }) => ({
      severity: 'error',
      found: `it has no setting ${name}, which ${where} has on the live side`,
      cure: `reset it there: ALTER ${where.replace(/^the database$/, `DATABASE ${applicationDatabase}`).replace(/^role/, 'ROLE')} RESET ${name}`,
    }));
}

const collationSql = `
  SELECT coalesce(pg_database_collation_actual_version(oid), '') AS version, datcollate AS collate FROM pg_database WHERE datname = current_database()`;

/** Indexes are made anew, so that none is wrong. The order of text is that of the other library. */
async function collation(live: pg.Client, other: pg.Client): Promise<Found[]> {
  interface Collation {
    version: string;
    collate: string;
  }
  const [here, there] = [await row<Collation>(live, collationSql), await row<Collation>(other, collationSql)];
  if (here.version === there.version) return [];
  return [
    {
      severity: 'warning',
      found: `its library sorts text by version ${there.version || 'none'} of ${there.collate}, and that of the live side by ${here.version || 'none'} of ${here.collate}: the order of text may change`,
      cure: 'see that nothing depends on it, such as keys of partitions by ranges of text',
    },
  ];
}

/** A login with an old hash is refused by a server that asks for SCRAM. */
async function passwords(live: pg.Client): Promise<Found[]> {
  const sql = `SELECT rolname AS name FROM pg_authid WHERE rolpassword LIKE 'md5%' AND rolcanlogin ORDER BY 1`;
  const old = await rows<{ name: string }>(live, sql).catch(() => []);
  return old.map(({ name }) => ({
    severity: 'warning',
    found: `role ${name} has a password of the old kind (md5): a server that asks for SCRAM refuses it`,
    cure: `set it again on the live side: \\password ${name} in psql, with password_encryption = 'scram-sha-256'`,
  }));
}
