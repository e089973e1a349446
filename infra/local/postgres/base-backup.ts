import { randomBytes } from 'node:crypto';
import { lstat, readdir, readFile, rm, statfs, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import pg from 'pg';
import { databaseEnvironment, databaseUrl } from '../../application/database-url.ts';
import { sessionEnvironment, sessionOptions } from '../../application/session-settings.ts';
import { bareEnvironment } from '../../lib/child-environment.ts';
import { endsWithParent } from '../../lib/lifetimes.ts';
import { postgresPath } from '../../lib/tools.ts';
import type { DatabaseAccess } from '../../platform/databases.ts';
import { asAdmin } from './session.ts';

/** Physical copies of a running cluster, for backups and for the other colour. */

/** Room that a copy needs beside the data itself: write-ahead log that accrues while it is taken. */
const spareBytes = 128 * 1024 * 1024;

/** What is to be copied. */
export interface Source {
  bytes: number;
  systemIdentifier: string;
  /** Major version of PostgreSQL. */
  version: number;
  /** Directories outside the data directory, by the tablespace's OID. */
  tablespaces: { oid: string; location: string }[];
}

export const inspect = (access: DatabaseAccess): Promise<Source> =>
  asAdmin(access, async (client) => {
    const { rows } = await client.query<{
      bytes: string;
      id: string;
      version: number;
      tablespaces: Source['tablespaces'];
    }>(
      `SELECT sum(pg_database_size(oid))::text AS bytes, (SELECT system_identifier::text FROM pg_control_system()) AS id,
         current_setting('server_version_num')::int / 10000 AS version,
         (SELECT coalesce(json_agg(json_build_object('oid', oid::text, 'location', pg_tablespace_location(oid)) ORDER BY oid), '[]')
          FROM pg_tablespace WHERE pg_tablespace_location(oid) LIKE '/%') AS tablespaces
       FROM pg_database`,
    );
    const [found] = rows;
    if (found === undefined) throw new Error('the database says nothing of itself');
    return {
      bytes: Number(found.bytes),
      systemIdentifier: found.id,
      version: found.version,
      tablespaces: found.tablespaces,
    };
  });

/** A copy must not fill the disk that the live database writes to. Rejects with what is free and what is needed. */
export async function checkSpace(directory: string, dataBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const megabytes = (bytes: number): string => `${Math.round(bytes / 1024 / 1024)} MB`;
  const [free, needed] = [bavail * bsize, dataBytes + spareBytes];
  if (free < needed)
    throw new Error(`${megabytes(free)} are free in ${directory}, but ${megabytes(needed)} are needed`);
}

/** A session that keeps the log of a cluster. */
export interface LogKeeper {
  client: pg.Client;
  /** Aborted when the session has ended, with the reason. */
  lost: AbortSignal;
}

/**
 * Keeps all of a cluster's log from now on, by a slot that ends with the session: it is gone however this program ends.
 * Where the log grows above max_slot_wal_keep_size, PostgreSQL ends the session.
 */
export async function keepLog(access: DatabaseAccess): Promise<LogKeeper> {
  const client = new pg.Client({
    connectionString: databaseUrl(access, 'admin'),
    application_name: 'greenlight',
    keepAlive: true,
    options: `${sessionOptions} -c synchronous_commit=local`,
  });
  const lost = new AbortController();
  client.on('error', (error) => lost.abort(error));
  client.on('end', () => lost.abort(new Error('its connection was closed')));
  await client.connect();
  await client.query('SELECT pg_create_physical_replication_slot($1, true, true)', [
    `greenlight_copy_${process.pid}_${randomBytes(4).toString('hex')}`,
  ]);
  return { client, lost: lost.signal };
}

export interface CopyOptions {
  /** Makes the arguments of a program those of the user whose the files are to be. Absent: this program's user. */
  runAs?: (argv: string[]) => string[];
  onProgress?: ((progress: { bytes: number; totalBytes: number }) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** Name of the directory beside `data` in which a copy has its tablespaces. */
const tablespacesName = 'tablespaces';
export const tablespacesOf = (data: string): string => join(dirname(data), tablespacesName);

/**
 * Copies a running cluster into the directory `data`, and its tablespaces beside it. It ends with this program. The caller keeps the
 * log meanwhile (`keepLog`): pg_basebackup can do so itself, by a second process that goes on where the first is killed.
 */
export async function copyCluster(
  access: DatabaseAccess,
  { tablespaces, version }: Pick<Source, 'tablespaces' | 'version'>,
  data: string,
  { runAs = (argv) => argv, onProgress, signal }: CopyOptions = {},
): Promise<void> {
  const escaped = (path: string): string => path.replaceAll('=', String.raw`\=`);
  const args = [
    '--pgdata',
    data,
    '--format=plain',
    '--wal-method=fetch',
    '--checkpoint=fast',
    '--manifest-checksums=CRC32C',
    '--no-password',
    ...(onProgress === undefined ? [] : ['--progress']),
    ...tablespaces.map(
      ({ oid, location }) => `--tablespace-mapping=${escaped(location)}=${escaped(join(tablespacesOf(data), oid))}`,
    ),
  ];
  const [command = '', ...rest] = runAs(endsWithParent([postgresPath('pg_basebackup', version), ...args], 'INT'));
  const child = execa(command, rest, {
    cwd: '/',
    ...bareEnvironment({ LC_ALL: 'C', ...databaseEnvironment(access, 'admin'), ...sessionEnvironment }),
    ...(signal === undefined ? {} : { cancelSignal: signal, killSignal: 'SIGINT' }),
  });
  if (onProgress !== undefined)
    child.stderr.on('data', (text: Buffer) => {
      const last = [...text.toString().matchAll(/(\d+)\/(\d+) kB/g)].at(-1);
      if (last !== undefined) onProgress({ bytes: Number(last[1]) * 1024, totalBytes: Number(last[2]) * 1024 });
    });
  await child;
}

/**
 * Of the settings that ALTER SYSTEM made in the original, those without which PostgreSQL cannot recover its prepared transactions, as
 * content of `postgresql.auto.conf`. The others are the original's: a synchronous standby would block the commits of a copy.
 */
export async function settingsToRecover(data: string): Promise<string> {
  const all = await readFile(join(data, 'postgresql.auto.conf'), 'utf8').catch(() => '');
  const kept = all.match(/^max_(?:prepared_transactions|locks_per_transaction) *=.*$/gm) ?? [];
  return kept.map((line) => `${line}\n`).join('');
}

/** What pg_basebackup said of its failure, without its progress. */
export const reasonOf = (error: unknown): string => {
  const { stderr, message } = error as { stderr?: string; message: string };
  const lines = (stderr ?? '').split('\n').filter((line) => line.trim() !== '' && !/^\s*\d+\/\d+ kB/.test(line));
  return lines.length === 0 ? message : lines.slice(-3).join('\n');
};

/**
 * Makes the links of a data directory's tablespaces lead to the directory that has them: `directory`, absolute, or relative to
 * the link. PostgreSQL needs absolute ones; what is not run may have relative ones, and can be moved.
 */
export async function linkTablespaces(data: string, directory: string): Promise<void> {
  const links = join(data, 'pg_tblspc');
  for (const oid of await readdir(links)) {
    const link = join(links, oid);
    if (!(await lstat(link)).isSymbolicLink()) continue;
    await rm(link);
    await symlink(join(directory, oid), link);
  }
}

/** Of a link in `pg_tblspc`, to the tablespaces beside the data directory. */
export const beside = `../../${tablespacesName}`;
