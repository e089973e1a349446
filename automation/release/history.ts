import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { OperationError } from '../../infra/errors.ts';
import type { EnvironmentName } from '../../infra/model.ts';
import { releasesDirectory } from '../../infra/paths.ts';
import type { JournalEntry } from './events.ts';
import { journalFile, readJournal } from './journal.ts';

export interface PastRelease {
  id: string;
  directory: string;
  entries: readonly JournalEntry[];
  started: Extract<JournalEntry, { type: 'release.started' }>;
  /** Absent: it was interrupted, or it still runs. */
  ended: Extract<JournalEntry, { type: 'release.ended' }> | undefined;
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
 * The release that was begun last and has no end; undefined where the last one ended. Throws an OperationError where
 * its journal was changed: nobody can say then how far it got.
 */
export function unfinishedRelease(environment: EnvironmentName): PastRelease | undefined {
  refuseAltered(environment);
  const [latest] = pastReleases(environment);
  return latest?.ended === undefined ? latest : undefined;
}

/** Milliseconds that each stage took when it last passed, by stage: the plan's expectation. */
export function lastDurations(environment: EnvironmentName, kind: string): Map<string, number> {
  const done = pastReleases(environment).find(({ started, ended }) => started.kind === kind && ended?.verdict === 'go');
  const stages = done?.entries.flatMap((entry) =>
    entry.type === 'stage.ended' ? [[entry.stage, entry.ms] as const] : [],
  );
  return new Map(stages);
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
    `see what is live (npm run status); where one colour is live and no cutover is under way, move ${join(directory, id)} away as evidence, then repeat`,
  );
}

function readRelease(directory: string, id: string): PastRelease | undefined {
  const file = join(directory, journalFile);
  if (!existsSync(file)) return undefined;
  const { entries } = readJournal(file);
  const started = entries.find((entry) => entry.type === 'release.started');
  if (started?.type !== 'release.started') return undefined;
  const ended = entries.findLast((entry) => entry.type === 'release.ended');
  return { id, directory, entries, started, ended: ended?.type === 'release.ended' ? ended : undefined };
}
