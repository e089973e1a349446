import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { move } from '../../lib/atomic-file.ts';
import { greenlight } from '../../lib/command.ts';
import { OperationError } from '../../lib/errors.ts';
import type { Colour, EnvironmentSpec } from '../../model.ts';
import type { Backup, Backups } from '../../platform/backups.ts';
import type { ScratchDatabase } from '../../platform/databases.ts';
import type { Layout } from '../lib/layout.ts';
import { isAlive } from '../../lib/lifetimes.ts';
import { beside, checkSpace, copyCluster, inspect, keepLog, linkTablespaces, reasonOf } from './base-backup.ts';
import {
  configurationFile,
  consistentLsn,
  emptyDirectories,
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
      await checkSpace(layout.backups(), source.bytes);
      await mkdir(work, { mode: 0o700 });
      const keeper = await keepLog(access);
      await copyCluster(access, source, join(work, 'data'), { signal: keeper.lost }).finally(() => keeper.client.end());
      await linkTablespaces(join(work, 'data'), beside);
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
      const backup = { id, environment: layout.environment, colour, version, takenAt, bytes, lsn };
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
      return scratch;
    } catch (error) {
      await scratch.dispose();
      throw error;
    }
  }

  return { take, list, verify, restore, prune };
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
