import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { greenlight } from '../../infra/lib/command.ts';
import { OperationError } from '../../infra/lib/errors.ts';
import type { EnvironmentName } from '../../infra/model.ts';
import { releasesDirectory } from '../../infra/lib/paths.ts';
import type { ReleaseDefinition } from '../config/schema.ts';
import { allOf, firstOf, lastOf, type EntryOf } from './entries.ts';
import type { JournalEntry } from './events.ts';
import { journalFile, readJournal } from './journal.ts';

export interface PastRelease {
  id: string;
  directory: string;
  entries: readonly JournalEntry[];
  started: EntryOf<'release.started'>;
  /** Absent: it was interrupted, or it still runs. */
  ended: EntryOf<'release.ended'> | undefined;
}

/** Releases of an environment, newest first. A directory without a readable start is left out. */
export function pastReleases(environment: EnvironmentName): PastRelease[] {
  const directory = releasesDirectory(environment);
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .sort()
    .reverse()
    .flatMap((id) => readRelease(join(directory, id), id) ?? []);
}

/**
 * The last release, if it has not ended. Throws an OperationError where its journal was altered, as it cannot be known how far it
 * got, and where it belongs to another application or platform.
 */
export function unfinishedRelease(
  environment: EnvironmentName,
  { application, platform }: Of,
): PastRelease | undefined {
  refuseAltered(environment);
  const [latest] = pastReleases(environment);
  if (latest === undefined || latest.ended !== undefined) return undefined;
  const { started, id } = latest;
  if (started.platform !== platform || started.application !== application.name) {
    throw new OperationError(
      `looking for unfinished releases of ${application.name} on the platform ${platform}`,
      `release ${id} of ${started.application} on the platform ${started.platform} is not finished`,
      `go on with it first: ${greenlight('resume', '--platform', started.platform)}, with --config where its definition is another file`,
    );
  }
  return latest;
}

type Of = Pick<ReleaseDefinition, 'platform'> & { application: Pick<ReleaseDefinition['application'], 'name'> };

/** Milliseconds that each stage took when it last passed on this platform, by stage: the plan's expectation. */
export function lastDurations(environment: EnvironmentName, kind: string, platform: string): Map<string, number> {
  const done = pastReleases(environment).find(
    ({ started, ended }) => started.kind === kind && started.platform === platform && ended?.verdict === 'go',
  );
  return new Map(allOf(done?.entries ?? [], 'stage.ended').map(({ stage, ms }) => [stage, ms]));
}

function refuseAltered(environment: EnvironmentName): void {
  const directory = releasesDirectory(environment);
  const id = existsSync(directory) ? readdirSync(directory).sort().at(-1) : undefined;
  if (id === undefined || !existsSync(join(directory, id, journalFile))) return;
  const { damage } = readJournal(join(directory, id, journalFile));
  if (damage?.kind !== 'altered') return;
  throw new OperationError(
    `reading the journal of release ${id}`,
    `line ${damage.line}: ${damage.found}`,
    `see what is live (${greenlight('status')}); where one colour is live and no cutover is under way, move ${join(directory, id)} away as evidence, then repeat`,
  );
}

function readRelease(directory: string, id: string): PastRelease | undefined {
  const file = join(directory, journalFile);
  if (!existsSync(file)) return undefined;
  const { entries } = readJournal(file);
  const started = firstOf(entries, 'release.started');
  if (started === undefined) return undefined;
  return { id, directory, entries, started, ended: lastOf(entries, 'release.ended') };
}

/** How one command reaches a release that runs in another terminal: a file in its directory. */
const rollbackFile = (releaseDirectory: string): string => join(releaseDirectory, 'rollback.requested');

export const requestRollback = (releaseDirectory: string): void => writeFileSync(rollbackFile(releaseDirectory), '');
export const withdrawRequest = (releaseDirectory: string): void =>
  rmSync(rollbackFile(releaseDirectory), { force: true });
export const rollbackRequested = (releaseDirectory: string): boolean => existsSync(rollbackFile(releaseDirectory));
