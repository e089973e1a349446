import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { move } from '../../lib/atomic-file.ts';
import { greenlight } from '../../lib/command.ts';
import { OperationError } from '../../lib/errors.ts';
import type { Colour, EnvironmentSpec } from '../../model.ts';
import type { Backup, Backups } from '../../platform/backups.ts';
import type { ScratchDatabase } from '../../platform/databases.ts';
import {
  copyDirectory,
  copyFiles,
  hashDirectory,
  scratchDirectory,
  sizeOfFiles,
  type CopiedFiles,
} from '../lib/files.ts';
import type { Layout } from '../lib/layout.ts';
import { isAlive } from '../../lib/lifetimes.ts';
import { beside, checkSpace, copyCluster, inspect, keepLog, linkTablespaces, reasonOf } from './base-backup.ts';
import {
  configurationFile,
  consistentLsn,
  emptyDirectories,
  filesDirectory,
  hashUncovered,
  readRecord,
  removePartial,
  totalBytes,
  verifyFiles,
  writeRecord,
} from './backup-files.ts';
import { colourAccess } from './databases.ts';
import { endPrepared } from './prepared.ts';
import { restoreInto } from './restore.ts';
import { openScratch } from './scratch.ts';

/** Physical backups by pg_basebackup, each a directory below `backups/`. */
export function createLocalBackups(layout: Layout, spec: EnvironmentSpec): Backups {
  const directory = (id: string): string => join(layout.backups(), id);
  const kept = spec.files ?? [];

  async function take(colour: Colour, version: string, configuration: unknown): Promise<Backup> {
    const doing = `backing up ${layout.environment}-${colour}`;
    const access = colourAccess(layout, colour);
    const takenAt = new Date().toISOString();
    const id = `${takenAt.replace(/[-:.]/g, '')}-${colour}-${randomBytes(2).toString('hex')}`;
    const work = `${directory(id)}.partial-${process.pid}`;
    try {
      await mkdir(layout.backups(), { recursive: true, mode: 0o700 });
      await removePartial(layout.backups(), (pid) => !isAlive(pid));
      const source = await inspect(access);
      await checkSpace(layout.backups(), source.bytes + (await sizeOfFiles(layout, kept)));
      await mkdir(work, { mode: 0o700 });
      const keeper = await keepLog(access);
      await copyCluster(access, source, join(work, 'data'), { signal: keeper.lost }).finally(() => keeper.client.end());
      await linkTablespaces(join(work, 'data'), beside);
      // After the database: a file that one of its rows names was written before the row.
      const copied = await copyFiles(layout, kept, join(work, filesDirectory));
      await writeFile(join(work, configurationFile), `${JSON.stringify(configuration, null, 2)}\n`, {
        mode: 0o600,
        flush: true,
      });
      const [files, directories, lsn, bytes] = await Promise.all([
        hashUncovered(work),
        emptyDirectories(work),
        consistentLsn(join(work, 'data')),
        totalBytes(work),
      ]);
      requireCopied(copied, files);
      const ofFiles = kept.length === 0 ? {} : { files: { count: copied.count, bytes: copied.bytes } };
      const backup = { id, environment: layout.environment, colour, version, takenAt, bytes, lsn, ...ofFiles };
      await writeRecord(work, {
        backup,
        application: spec.application,
        systemIdentifier: source.systemIdentifier,
        files,
        directories,
      });
      await move(work, directory(id));
      return { ...backup, location: directory(id) };
    } catch (error) {
      await rm(work, { recursive: true, force: true }).catch(() => undefined);
      if (error instanceof OperationError) throw error;
      throw new OperationError(doing, reasonOf(error), 'free disk space or fix permissions, then repeat', {
        cause: error,
      });
    }
  }

  async function list(): Promise<Backup[]> {
    const names = await readdir(layout.backups()).catch(() => []);
    const ids = names
      .filter((name) => idPattern.test(name))
      .sort()
      .reverse();
    const records = await Promise.all(ids.map((id) => readRecord(directory(id)).catch(() => undefined)));
    return records
      .filter((record) => record !== undefined)
      .map(({ backup }) => ({ ...backup, location: directory(backup.id) }));
  }

  async function verify(backup: Backup): Promise<unknown> {
    const doing = `verifying backup ${backup.id}`;
    const place = directory(checkedId(backup.id));
    const record = await readRecord(place);
    const wanted = {
      application: spec.application,
      environment: layout.environment,
      id: backup.id,
      colour: backup.colour,
      version: backup.version,
    };
    const found = {
      application: record.application,
      environment: record.backup.environment,
      id: record.backup.id,
      colour: record.backup.colour,
      version: record.backup.version,
    };
    for (const key of Object.keys(wanted) as (keyof typeof wanted)[]) {
      if (wanted[key] === found[key]) continue;
      throw new OperationError(
        doing,
        `its ${key} is ${found[key]} instead of ${wanted[key]}`,
        'use a backup of this environment',
      );
    }
    await verifyFiles(place, record);
    return JSON.parse(await readFile(join(place, configurationFile), 'utf8')) as unknown;
  }

  async function prune(keep: number): Promise<Backup[]> {
    const old = (await list()).slice(keep);
    for (const { location } of old) {
      const doomed = `${location}.deleted-${process.pid}`;
      await move(location, doomed);
      await rm(doomed, { recursive: true, force: true });
    }
    return old;
  }

  async function restore(backup: Backup): Promise<ScratchDatabase> {
    const data = join(directory(checkedId(backup.id)), 'data');
    await checkSpace(layout.directory, backup.bytes).catch((error: Error) => {
      throw new OperationError(`restoring backup ${backup.id}`, error.message, 'free disk space, then repeat', {
        cause: error,
      });
    });
    const maxConnections = spec.database.maxConnections;
    const scratch = await openScratch(layout, 'restore', maxConnections, (cluster) => restoreInto(cluster, data));
    try {
      await endPrepared(scratch.access);
      await restoreFiles(directory(backup.id));
      return scratch;
    } catch (error) {
      await scratch.dispose();
      throw error;
    }
  }

  /** Restores the files beside the scratch cluster, compares them with what was backed up, and removes them again. */
  async function restoreFiles(backup: string): Promise<void> {
    const from = join(backup, filesDirectory);
    if (!existsSync(from)) return;
    const to = await scratchDirectory(layout, 'restore');
    try {
      await copyDirectory(from, to);
      requireCopied({ sha256: await hashDirectory(to) }, (await readRecord(backup)).files);
    } finally {
      await rm(to, { recursive: true, force: true });
    }
  }

  return { take, list, verify, restore, prune };
}

/** Rejects unless a backup, or what is restored from it, has every file as it was read. */
function requireCopied({ sha256 }: Pick<CopiedFiles, 'sha256'>, recorded: Record<string, string>): void {
  const inBackup = Object.entries(recorded).filter(([path]) => path.startsWith(`${filesDirectory}/`));
  const other = [
    ...Object.keys(sha256).filter((path) => sha256[path] !== recorded[join(filesDirectory, path)]),
    ...inBackup.map(([path]) => path.slice(filesDirectory.length + 1)).filter((path) => sha256[path] === undefined),
  ];
  if (other.length === 0) return;
  throw new OperationError(
    'comparing the files of a backup',
    `${other.length} differ from what was read: ${other.slice(0, 5).join(', ')}`,
    'look at the disk; then take a new backup',
  );
}

/** Starts with the time, so that sorting by name sorts by time. */
const idPattern = /^\d{8}T\d{9}Z-(?:blue|green)-[0-9a-f]{4}$/;

function checkedId(id: string): string {
  if (idPattern.test(id)) return id;
  throw new OperationError(
    'looking for a backup',
    `${JSON.stringify(id)} is not a valid backup id`,
    `choose one from: ${greenlight('status')}`,
  );
}
