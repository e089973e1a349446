import { environmentNames, type Colour } from '../../infra/model.ts';
import { recoverCutover, recoverWindow } from '../data/cutover/recover.ts';
import { greenlight } from '../../infra/lib/command.ts';
import { messageOf, OperationError } from '../../infra/lib/errors.ts';
import { connectTo, openRun, type ReleaseSettings } from './context/context.ts';
import { environmentsOf, keepMissingSecrets } from './context/keep-secrets.ts';
import { readOnlyWindowOf, type Kind } from './context/release.ts';
import type { PastRelease } from '../journal/history.ts';
import type { JournalEntry } from '../journal/events.ts';
import { openJournal } from '../journal/journal.ts';
import { doubtOf, located, readArtefact } from './context/live.ts';
import { abandon, passedStages, undoStarted } from './run.ts';
import { sweep } from './steps/sweep.ts';
import { pastNoReturn } from './stages/cleanup.ts';
import { wasRollingBack } from './steps/traffic/record-rollback.ts';
import { followLive } from './steps/traffic/workers.ts';
import { beingMade } from './steps/traffic/go-back.ts';
import { somebodyDecides } from './steps/traffic/move-in-window.ts';
import { unfinishedActions } from '../journal/actions.ts';
import { describeGap, openGap } from '../journal/way-back.ts';
import { movedInWindow, plannedWindow, undoneWindow } from '../journal/window.ts';
import { finish, finished, leaveReport, settingsOf, type FinishedRelease, type Session } from './start.ts';
import { stagesFor } from './stages/index.ts';

/**
 * Goes on with an interrupted release. First a half-done cutover is settled: finished if the balancer had flipped, else undone.
 * Then the first stage that had not passed is repeated from its first step.
 */
export async function resumeRelease(session: Session, open: PastRelease): Promise<FinishedRelease> {
  if (undoStarted(open.entries) !== undefined) return abandonRelease(session, open, greenlight('resume'));
  requireSameWindow(session, open);
  await keepMissingSecrets(session, environmentsOf(open.started.environment));
  const settings = await reopen(session, open);
  const found = await settle(settings);
  if (undoneWindow(settings.journal.entries()))
    return undoing(settings, 'the program ended in the read-only window, which was undone', () =>
      Promise.resolve(found),
    );
  const done = passedStages(settings.journal.entries());
  const next = stagesFor(settings).find((stage) => !done.has(stage.id));
  settings.journal.append({
    type: 'release.resumed',
    found,
    decision: next === undefined ? 'everything had been done' : `go on with stage "${next.title}"`,
  });
  return finish(settings);
}

/** Ends an interrupted release by undoing it: the old version is live again, with the writes made since. */
export async function abandonRelease(
  session: Session,
  open: PastRelease,
  reason: string,
  { acceptLoss = false } = {},
): Promise<FinishedRelease> {
  if (pastNoReturn(open.entries)) {
    throw new OperationError(
      `rolling back release ${open.id}`,
      'its clean-up has ended the replication to the old version: there is no way back',
      `finish it: ${greenlight('resume')}`,
    );
  }
  const gap = openGap(open.entries);
  if (gap !== undefined) throw beingMade(gap);
  if (movedInWindow(open.entries) && !acceptLoss)
    throw somebodyDecides(open.started.to.colour, `going back was asked for (${reason})`);
  const settings = await reopen(session, open);
  // The way back is looked at when it is gone, and may be broken.
  const settled = (): Promise<string> =>
    settle(settings, { follow: false }).catch((error: unknown) => {
      if (!acceptLoss) throw error;
      return `the interrupted cutover could not be settled: ${messageOf(error)}`;
    });
  return undoing(settings, reason, settled, { acceptLoss });
}

/** Undoes everything, closes the journal and leaves the report, whatever happens. */
async function undoing(
  settings: ReleaseSettings,
  reason: string,
  settled: () => Promise<string>,
  { acceptLoss = false } = {},
): Promise<FinishedRelease> {
  try {
    const found = await settled();
    settings.journal.append({ type: 'release.resumed', found, decision: 'undo everything' });
    const outcome = await abandon(settings, stagesFor(settings), reason, { acceptLoss });
    return finished(settings, outcome);
  } finally {
    settings.journal.close();
    await leaveReport(settings).catch(() => undefined);
  }
}

/** Stages differ by it: those that are left would not fit to those that are done. */
function requireSameWindow({ definition }: Session, { id, started }: PastRelease): void {
  const began = started.readOnlyWindow !== undefined;
  if (began === (readOnlyWindowOf({ definition, ...started }) !== undefined)) return;
  throw new OperationError(
    `resuming release ${id}`,
    `it began ${began ? 'with' : 'without'} a read-only window, and the definition says otherwise now`,
    `put application.version and application.migrations.incompatible back as they were; then: ${greenlight('resume')}`,
  );
}

async function reopen(session: Session, { id, directory, entries, started }: PastRelease): Promise<ReleaseSettings> {
  const { kind, environment, to } = started;
  const cleaning = pastNoReturn(entries);
  const artefact = started.from && (await readArtefact(session.engine, environment, started.from.colour));
  if (started.from !== undefined && artefact === undefined && !cleaning) {
    const doubt = await doubtOf(session, environment);
    if (doubt !== undefined) throw doubt;
    throw new OperationError(
      `resuming release ${id}`,
      `${started.from.colour}, which was live when it began, does not run any more`,
      `look at: ${greenlight('status')}; then start a new release: ${greenlight('release')}`,
    );
  }
  const journal = openJournal(directory);
  session.show(journal);
  // The old colour may be down already; the clean-up needs nothing of its version.
  const gone = { version: started.from?.version ?? '', digest: '', location: '' };
  const old = artefact === undefined ? gone : await located(session.platform, artefact);
  const replaced: Kind =
    started.from === undefined || kind === 'go-live'
      ? { kind: 'go-live' }
      : { kind, from: { ...started.from, artefact: old }, postgres: started.postgres };
  const settings = settingsOf(session, { id, environment, directory, journal, to, ...replaced });
  await sweepAll(settings);
  return settings;
}

/** Deletes temporary resources of the run that died. If they cannot be looked for, the release still goes on. */
async function sweepAll(settings: ReleaseSettings): Promise<void> {
  const run = openRun(settings);
  const { context } = run.at('preflight');
  try {
    for (const environment of environmentNames)
      if (await settings.engine.exists(environment, 'foundation')) await sweep(context, environment);
  } catch (error) {
    context.note(`temporary resources of the interrupted run could not be looked for: ${messageOf(error)}`, 'warning');
  } finally {
    await run.close();
  }
}

/**
 * Settles an interrupted cutover, so that writes flow again, and records one that is finished. Resolves to what was found, for the
 * journal.
 */
export async function settle(settings: ReleaseSettings, options: { follow?: boolean } = {}): Promise<string> {
  const found = await settleCutover(settings, options);
  // Who is live is known again. Before that stage no worker was paused.
  if (cutoverBegan(settings.journal.entries())) await workersFollow(settings);
  return found;
}

const cutoverBegan = (entries: readonly JournalEntry[]): boolean =>
  entries.some((entry) => entry.type === 'stage.started' && entry.stage === 'cutover');

async function workersFollow(settings: ReleaseSettings): Promise<void> {
  const running = await connectTo(settings, settings.environment);
  await followLive(running).finally(() => running.close());
}

async function settleCutover(settings: ReleaseSettings, { follow = true }): Promise<string> {
  const { journal, environment, from, to } = settings;
  const entries = journal.entries();
  const open = unfinishedActions(entries).map(({ what }) => what);
  const interrupted = open.length === 0 ? 'no action was under way' : `interrupted while: ${open.join(', ')}`;
  if (!cutoverBegan(entries) || from === undefined || pastNoReturn(entries)) return interrupted;
  // That began once the old colour had the writes for good. Its database may be gone since, and would not answer.
  if (takingDown(settings)) return `${interrupted}; ${to.colour} is being taken down`;
  const gap = openGap(entries);
  if (gap !== undefined) return `${interrupted}; the way back: ${describeGap(gap)}`;

  // A rollback is a cutover too, the other way.
  const back = wasRollingBack(entries);
  const windowed = !back && plannedWindow(entries) !== undefined;
  const direction = back ? 'rollback' : 'forward';
  const [source, target] = back ? [to.colour, from.colour] : [from.colour, to.colour];
  const running = await connectTo(settings, environment);
  try {
    const side = async (colour: Colour) => ({ colour, access: await running.databases.of(colour) });
    const move = { router: running.router, from: await side(source), to: await side(target) };
    const recovered = await (windowed ? recoverWindow(move) : recoverCutover({ ...move, direction, follow }));
    if (recovered.problems.length > 0) {
      // The cutover had passed: only its way back is to be looked after, which the bake time does.
      if (!back && recovered.outcome === 'finished' && passedStages(entries).has('cutover'))
        return `${interrupted}; the cutover had passed; ${windowed ? 'the old database' : 'the way back'}: ${recovered.problems.join('; ')}`;
      throw new OperationError(
        'settling the interrupted cutover',
        recovered.problems.join('; '),
        `correct the cause, then: ${greenlight('resume')}`,
      );
    }
    const recorded = entries.some((entry) => entry.type === 'cutover.done' && entry.direction === direction);
    if (recovered.outcome === 'finished' && !recorded)
      journal.append({
        type: 'cutover.done',
        direction,
        from: source,
        to: target,
        ...(windowed ? { window: {} } : {}),
      });
    const live = recovered.outcome === 'finished' ? target : source;
    const { outcome, warning } = recovered;
    const also = warning === undefined ? '' : `; the replication does not go on: ${warning}`;
    return `${interrupted}; the cutover is ${outcome}: ${live} is live${also}`;
  } finally {
    await running.close();
  }
}

/** Whether the undo has begun to take the new colour down. */
const takingDown = ({ journal, environment, to }: ReleaseSettings): boolean => {
  const entries = journal.entries();
  const undone = entries.findIndex(({ type }) => type === 'undo.started');
  const id = `prepare/destroy-${environment}-${to.colour}`;
  return undone >= 0 && entries.slice(undone).some((entry) => entry.type === 'action.intent' && entry.id === id);
};
