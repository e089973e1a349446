import { join } from 'node:path';
import { other, type EnvironmentName } from '../../infra/model.ts';
import { releasesDirectory } from '../../infra/lib/paths.ts';
import type { Platform } from '../../infra/platform/platform.ts';
import type { ReleaseDefinition } from '../config/schema.ts';
import { writeReportApart } from '../report/write-in-child.ts';
import type { Engine } from '../stacks/engine.ts';
import type { ReleaseSettings } from './context/context.ts';
import { environmentsOf, keepSecrets } from './context/keep-secrets.ts';
import { readOnlyWindowOf, type Kind, type LivePlacement } from './context/release.ts';
import type { Event } from '../journal/events.ts';
import { lastDurations } from '../journal/history.ts';
import { openJournal, type Journal } from '../journal/journal.ts';
import { located, type Live } from './context/live.ts';
import { postgresVersions } from './context/versions.ts';
import { planRelease } from './plan.ts';
import { runRelease, type ReleaseOutcome } from './run.ts';
import { readSource, releaseId } from './steps/build-version.ts';
import { stagesFor } from './stages/index.ts';

/** What every release of one command shares. */
export interface Session {
  definition: ReleaseDefinition;
  platform: Platform;
  engine: Engine;
  signal: AbortSignal;
  waiting: (text: string) => void;
  /** Shows a release's journal at the terminal, from its beginning. */
  show: (journal: Journal) => void;
  ask: ReleaseSettings['ask'];
  approved: boolean;
  /** Whether writes may be discarded that a rollback with a stated loss has left in the database that is emptied. */
  discardLost?: boolean;
  /** Whether this program still holds the locks of the environments. */
  hasLock: () => boolean;
}

export interface FinishedRelease extends ReleaseOutcome {
  directory: string;
  /** Whether it ended because nobody approved it. */
  approvalRefused: boolean;
}

/** Begins a new release and takes it to its end; writes the report whatever happens. */
export async function startRelease(
  session: Session,
  { version, environment, ...what }: { version: string; environment: EnvironmentName } & Begun,
): Promise<FinishedRelease> {
  const id = releaseId(version, new Date());
  const directory = join(releasesDirectory(environment), id);
  const { definition, platform } = session;
  await keepSecrets(session, environmentsOf(environment));
  const kind = await kindOf(session, environment, what);
  const { from } = kind;
  const to = { colour: from === undefined ? ('blue' as const) : other(from.colour), version };
  const source = await readSource();
  const journal = openJournal(directory);
  session.show(journal);
  const settings = settingsOf(session, { id, environment, directory, journal, to, ...kind });
  const window = readOnlyWindowOf(settings);
  const planned = planRelease(stagesFor(settings), platform, lastDurations(environment, kind.kind, platform.name));
  journal.append({
    type: 'release.started',
    release: id,
    kind: kind.kind,
    application: definition.application.name,
    environment,
    platform: platform.name,
    emulatedBy: platform.emulatedBy,
    ...(from === undefined ? {} : { from: { colour: from.colour, version: from.version } }),
    to,
    ...(kind.from === undefined || kind.postgres === undefined ? {} : { postgres: kind.postgres }),
    ...(window === undefined ? {} : { readOnlyWindow: window }),
    source,
    stages: planned.map(({ id: stage, title, expectedMs }) => ({ id: stage, title, expectedMs })),
    gates: planned.flatMap(({ gates }) => gates),
    settings: reportedSettings(definition),
  });
  return finish(settings);
}

/** What to begin. `live` is what is live now, and is to be replaced. */
type Begun = { kind: 'go-live' } | { kind: 'release' | 'rehearsal'; live: Live };

async function kindOf(session: Session, environment: EnvironmentName, what: Begun): Promise<Kind> {
  if (what.kind === 'go-live') return what;
  const { kind, live } = what;
  const from = placementOf({ ...live, artefact: await located(session.platform, live.artefact) });
  // A rehearsal makes its old version anew, on a database that has the wanted version already.
  return {
    kind,
    from,
    postgres: kind === 'release' ? await postgresVersions(session, environment, live.colour) : undefined,
  };
}

/** Goes on with a release whose settings are known, to its end or to the next interruption; writes the report. */
export async function finish(settings: ReleaseSettings): Promise<FinishedRelease> {
  const { journal } = settings;
  let outcome: ReleaseOutcome;
  try {
    outcome = await runRelease(settings, stagesFor(settings));
  } catch (error) {
    journal.close();
    // The caller needs the error that stopped the release. The report can be written again from the journal.
    await leaveReport(settings).catch(() => undefined);
    throw error;
  }
  journal.close();
  await leaveReport(settings);
  return finished(settings, outcome);
}

/** Writes the report, and shares the release's files with other machines. They are shared before too: the journal's end must not be lost if writing the report fails. */
export async function leaveReport({
  platform,
  environment,
  id,
  directory,
}: Pick<ReleaseSettings, 'platform' | 'environment' | 'id' | 'directory'>): Promise<void> {
  await platform.shared?.pushRelease(environment, id, directory);
  await writeReportApart(directory);
  await platform.shared?.pushRelease(environment, id, directory);
}

export const finished = ({ directory, journal }: ReleaseSettings, outcome: ReleaseOutcome): FinishedRelease => ({
  ...outcome,
  directory,
  approvalRefused: journal.entries().some(({ type }) => type === 'approval.refused'),
});

type Own = Pick<ReleaseSettings, 'id' | 'environment' | 'directory' | 'journal' | 'to'> & Kind;

/** The settings of a release of this session. */
export function settingsOf(session: Session, own: Own): ReleaseSettings {
  const { definition, platform, engine, signal, waiting, ask, approved, discardLost = false } = session;
  const hasLock = () => session.hasLock();
  return { definition, platform, engine, signal, waiting, ask, approved, discardLost, hasLock, ...own };
}

export function placementOf({ colour, artefact }: Live): LivePlacement {
  return { colour, version: artefact.version, artefact };
}

/** What the report shows of the release definition. Receivers' addresses stay out: they can hold a token. */
function reportedSettings(definition: ReleaseDefinition): Extract<Event, { type: 'release.started' }>['settings'] {
  const { load, slo, canary, cutover, bake, window, data, waivers, security, announcements } = definition;
  return {
    load,
    slo,
    canary,
    cutover,
    bake,
    window,
    waivers,
    acceptedRisks: security.acceptedRisks,
    maskedColumns: data.personal.map(({ table, column }) => `${table}.${column}`),
    invariants: data.invariants.map(({ name }) => name),
    expectedDowntime: announcements.expectedDowntime,
  };
}
