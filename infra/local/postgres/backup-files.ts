import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { execa } from 'execa';
import { bareEnvironment } from '../../lib/child-environment.ts';
import { OperationError } from '../../lib/errors.ts';
import type { Backup } from '../../platform/backups.ts';
import { findPostgres, findTool, postgresVersions } from '../../lib/tools.ts';
import { hashDirectory } from '../lib/files.ts';
import { tablespacesOf } from './base-backup.ts';
import { versionOf } from './programs.ts';

/**
 * Content of `backup.json`. A backup also has `data/`, with PostgreSQL's manifest, and `configuration.json`. The
 * manifest has checksums of all data files except the write-ahead log and what a server may change before it is checked.
 * `backup.json` has the checksums of all other files and of its own content.
 */
export interface BackupRecord {
  backup: Omit<Backup, 'location'>;
  application: string;
  /** PostgreSQL's system identifier of the cluster that was backed up. */
  systemIdentifier: string;
  /** SHA-256 by path relative to the backup. */
  files: Record<string, string>;
  /** Empty directories of the data: a server does not start without some of them. Backups of earlier versions have no list. */
  directories?: string[];
}

const recordFile = 'backup.json';
export const configurationFile = 'configuration.json';
/** The directories of `application.files`. */
export const filesDirectory = 'files';

const serialise = (record: BackupRecord): string => {
  const body = JSON.stringify(record);
  return `${JSON.stringify({ record, sha256: createHash('sha256').update(body).digest('hex') }, null, 2)}\n`;
};

export const writeRecord = (directory: string, record: BackupRecord): Promise<void> =>
  writeFile(join(directory, recordFile), serialise(record), { mode: 0o600, flush: true });

/** Reads `backup.json`. Rejects with an OperationError if it is missing or damaged. */
export async function readRecord(directory: string): Promise<BackupRecord> {
  const text = await readFile(join(directory, recordFile), 'utf8').catch((error: Error) => error);
  if (text instanceof Error) throw damaged(directory, `${recordFile} cannot be read (${text.message})`);
  try {
    const { record } = JSON.parse(text) as { record: BackupRecord };
    if (serialise(record) === text) return record;
  } catch {
    // Invalid JSON: damaged, as below.
  }
  throw damaged(directory, `${recordFile} is damaged: it does not match its own checksum`);
}

/** Settings made by ALTER SYSTEM. Backups of earlier versions have no checksum of them. */
const settingsFile = 'data/postgresql.auto.conf';
/** What pg_verifybackup leaves out, and changes what a server does. */
const leftOut = [settingsFile, 'data/standby.signal', 'data/recovery.signal'];

/** Checksums of the manifest and of all files that it does not cover. */
export async function hashUncovered(directory: string): Promise<Record<string, string>> {
  const log = await readdir(join(directory, 'data/pg_wal'), { withFileTypes: true });
  const segments = log.filter((entry) => entry.isFile()).map((entry) => `data/pg_wal/${entry.name}`);
  const others = leftOut.filter((file) => existsSync(join(directory, file)));
  const files: Record<string, string> = {};
  for (const file of [configurationFile, 'data/backup_manifest', ...segments.sort(), ...others]) {
    files[file] = await sha256(join(directory, file));
  }
  for (const [path, hash] of Object.entries(await hashDirectory(join(directory, filesDirectory))))
    files[join(filesDirectory, path)] = hash;
  return files;
}

/** Paths, relative to the backup, of the directories in its data that have nothing in them. */
export async function emptyDirectories(directory: string): Promise<string[]> {
  const entries = await readdir(join(directory, 'data'), { withFileTypes: true, recursive: true });
  const filled = new Set(entries.map((entry) => entry.parentPath));
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !filled.has(path))
    .map((path) => relative(directory, path))
    .sort();
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/** Verifies all checksums. Rejects with an OperationError that names the damaged files. */
export async function verifyFiles(directory: string, record: BackupRecord): Promise<void> {
  const problems: string[] = [];
  const found = await hashUncovered(directory).catch((error: Error) => {
    throw damaged(directory, `a file is missing (${error.message})`);
  });
  for (const file of new Set([...Object.keys(record.files), ...Object.keys(found)])) {
    if (found[file] === undefined) problems.push(`${file} is missing`);
    else if (record.files[file] === undefined && file === settingsFile) continue;
    else if (record.files[file] === undefined) problems.push(`${file} does not belong to the backup`);
    else if (record.files[file] !== found[file]) problems.push(`${file} does not match its checksum`);
  }
  const own = [recordFile, configurationFile, 'data', filesDirectory, basename(tablespacesOf(join(directory, 'data')))];
  for (const name of await readdir(directory))
    if (!own.includes(name)) problems.push(`${name} does not belong to the backup`);
  for (const path of record.directories ?? [])
    if (!existsSync(join(directory, path))) problems.push(`${path} is missing`);
  problems.push(...(await verifyManifest(join(directory, 'data'))));
  const identifier = await systemIdentifier(join(directory, 'data')).catch(() => undefined);
  if (identifier !== undefined && identifier !== record.systemIdentifier) {
    problems.push(`data has the system identifier ${identifier} instead of ${record.systemIdentifier}`);
  }
  if (problems.length > 0) throw damaged(directory, problems.join('; '));
}

/** Findings of pg_verifybackup: a line per damaged, missing or additional file. */
async function verifyManifest(data: string): Promise<string[]> {
  // Where the file that names the version is damaged, the check has to find that, by whatever program there is.
  const version = postgresVersions.find((known) => known === versionOf(data));
  const tool = version === undefined ? findTool('pg_verifybackup') : findPostgres('pg_verifybackup', version);
  if (tool === undefined)
    return [
      `pg_verifybackup${version === undefined ? '' : ` of PostgreSQL ${version}`} is not installed, so nothing was verified`,
    ];
  // `.` instead of the path, because pg_verifybackup passes the path to a shell without correct quoting.
  const result = await execa(tool, ['--quiet', '.'], {
    ...bareEnvironment({ LC_ALL: 'C' }),
    cwd: data,
    reject: false,
    all: true,
  });
  if (result.exitCode === 0) return [];
  const lines = (result.all === '' ? (result.message ?? 'pg_verifybackup failed') : result.all).trim().split('\n');
  return lines.map((line) => line.replace(/^pg_\w+: (error: )?/, ''));
}

/** Reads the system identifier: the first eight bytes of pg_control. */
async function systemIdentifier(data: string): Promise<string> {
  const file = await open(join(data, 'global/pg_control'));
  try {
    const { buffer } = await file.read(Buffer.alloc(8), 0, 8, 0);
    return buffer.readBigUInt64LE().toString();
  } finally {
    await file.close();
  }
}

/** LSN at which the data is consistent, from the manifest. */
export async function consistentLsn(data: string): Promise<string> {
  const manifest = JSON.parse(await readFile(join(data, 'backup_manifest'), 'utf8')) as {
    'WAL-Ranges': { 'End-LSN': string }[];
  };
  const lsn = manifest['WAL-Ranges'].at(-1)?.['End-LSN'];
  if (lsn === undefined) throw damaged(data, 'its manifest has no WAL range');
  return lsn;
}

/** Bytes of all files below `directory`. */
export async function totalBytes(directory: string): Promise<number> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true });
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Deletes backups whose creation or deletion was interrupted because the process ended. */
export async function removePartial(backups: string, isOver: (pid: number) => boolean): Promise<void> {
  for (const name of await readdir(backups)) {
    const owner = /\.(?:partial|deleted)-(\d+)$/.exec(name)?.[1];
    if (owner !== undefined && isOver(Number(owner))) await rm(join(backups, name), { recursive: true, force: true });
  }
}

const damaged = (directory: string, found: string): OperationError =>
  new OperationError(`verifying backup ${basename(directory)}`, found, 'take a new backup; do not restore this one');
