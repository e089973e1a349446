import { join } from 'node:path';
import { other, type Artefact, type EnvironmentName } from '../../infra/model.ts';
import { releasesDirectory } from '../../infra/lib/paths.ts';
import type { Platform } from '../../infra/platform/platform.ts';
import type { ReleaseDefinition } from '../config/schema.ts';
import { writeReportApart } from '../report/write-in-child.ts';
import type { Engine } from '../stacks/engine.ts';
import type { ReleaseKind, ReleaseSettings } from './context/context.ts';
import type { Event } from '../journal/events.ts';
import { lastDurations } from '../journal/history.ts';
import { openJournal, type Journal } from '../journal/journal.ts';
import { located, type Live } from './context/live.ts';
import { planRelease } from './plan.ts';
import { runRelease, type ReleaseOutcome } from './run.ts';
import { readSource, releaseId } from './steps/build-version.ts';
import { stages } from './stages/index.ts';

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
  /** Whether this program still has the environments; set by who locks them. */
  held: () => boolean;
}

export interface FinishedRelease extends ReleaseOutcome {
  directory: string;
  /** Whether it ended because nobody approved it. */
  approvalRefused: boolean;
}

/** Begins a new release and takes it to its end; writes the report whatever happens. */
export async function startRelease(
  session: Session,
  options: { kind: ReleaseKind; environment: EnvironmentName; version: string; live: Live | undefined },
): Promise<FinishedRelease> {
  const { kind, environment, version, live } = options;
  const id = releaseId(version, new Date());
  const directory = join(releasesDirectory(environment), id);
  const from = live && placementOf({ ...live, artefact: await located(session.platform, live.artefact) });
  const to = { colour: live === undefined ? ('blue' as const) : other(live.colour), version };
  const source = await readSource();
  const journal = openJournal(directory);
  session.show(journal);
  const { definition, platform } = session;
  const planned = planRelease(stages, { kind, definition, to, from }, lastDurations(environment, kind, platform.name));
  journal.append({
    type: 'release.started',
    release: id,
    kind,
    application: definition.application.name,
    environment,
    platform: platform.name,
    emulatedBy: platform.emulatedBy,
    ...(from === undefined ? {} : { from: { colour: from.colour, version: from.version } }),
    to,
    source,
    stages: planned.map(({ id: stage, title, expectedMs }) => ({ id: stage, title, expectedMs })),
    gates: planned.flatMap(({ gates }) => gates),
    settings: reportedSettings(definition),
  });
  return finish(settingsOf(session, { id, kind, environment, directory, journal, from, to }));
}

/** Goes on with a release whose settings are known, to its end or to the next interruption; writes the report. */
export async function finish(settings: ReleaseSettings): Promise<FinishedRelease> {
  const { journal } = settings;
  let outcome: ReleaseOutcome;
  try {
    outcome = await runRelease(settings, stages);
  } catch (error) {
    journal.close();
    // What stopped the release is what has to be said; the report can be written again from the journal.
    await leaveReport(settings).catch(() => undefined);
    throw error;
  }
  journal.close();
  await leaveReport(settings);
  return finished(settings, outcome);
}

/** Hands all of the release to the other machines that release here, and writes the report: it can be missing, the end cannot. */
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

type Own = Pick<ReleaseSettings, 'id' | 'kind' | 'environment' | 'directory' | 'journal' | 'to'> & {
  from: ReleaseSettings['from'] | undefined;
};

export function settingsOf(session: Session, { from, ...own }: Own): ReleaseSettings {
  const { definition, platform, engine, signal, waiting, ask, approved } = session;
  const held = () => session.held();
  return {
    definition,
    platform,
    engine,
    signal,
    waiting,
    ask,
    approved,
    held,
    ...own,
    ...(from === undefined ? {} : { from }),
  };
}

export function placementOf({ colour, artefact }: { colour: Live['colour']; artefact: Artefact }) {
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
