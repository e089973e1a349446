import { passes, stops, worstMeasured, type Verdict } from '../journal/verdict.ts';
import { allOf, lastOf } from '../journal/entries.ts';
import { rollbackRequested } from '../journal/history.ts';
import { openRun, type ReleaseSettings, type Run } from './context/context.ts';
import { announceEnd } from './steps/announce.ts';
import type { JournalEntry, ReleaseVerdict, StageId } from '../journal/events.ts';
import { describeNotRun } from '../journal/not-run.ts';
import { movedInWindow } from '../journal/window.ts';
import { greenlight } from '../../infra/lib/command.ts';
import { hasCode, messageOf, OperationError } from '../../infra/lib/errors.ts';
import { CutoverAborted } from '../data/cutover/cutover.ts';
import { StageStopped, takeSteps, type Reason, type Stage } from './context/stage.ts';
import { somebodyDecides } from './steps/traffic/move-in-window.ts';
import { endSynthetic } from './synthetic/synthetic.ts';

export interface ReleaseOutcome {
  verdict: ReleaseVerdict;
  reason: string;
}

/**
 * Runs the stages, skipping those that the journal has as passed. On failure, undoes what was done, newest first. Rejects, and
 * leaves the rest as it is for `resume`: when interrupted, when this program's credentials ended, past the point of no return,
 * while nothing can go back, after a read-only window, and where a cutover or anything else could not be undone.
 */
export async function runRelease(settings: ReleaseSettings, stages: readonly Stage[]): Promise<ReleaseOutcome> {
  const run = openRun(settings);
  const done = passedStages(settings.journal.entries());
  let outcome: ReleaseOutcome = { verdict: 'go', reason: `${settings.to.version} is live on ${settings.to.colour}` };
  let current: Stage | undefined;
  try {
    for (const stage of stages) {
      if (done.has(stage.id)) continue;
      current = stage;
      await runStage(run, settings, stage);
    }
  } catch (error) {
    settings.signal.throwIfAborted();
    if (settings.platform.stopsHere?.(error) === true) throw error;
    const asked = error instanceof StageStopped && error.outcome === 'rolled-back';
    if (current?.id === 'cleanup' && !asked) throw unfinished('cleaning up after the release', error);
    if ((error instanceof CutoverAborted && !error.undone) || hasCode(error, 'no-way-back')) throw error;
    outcome = await undoAll(run, settings, stages, reasonOf(settings, error));
    await settleTraffic(run);
  } finally {
    await run.close();
  }
  await announceEnd(settings, outcome.verdict);
  if (outcome.verdict !== 'go') return end(settings, outcome);
  return end(settings, { ...outcome, reason: outcome.reason + describeNotRun(settings.journal.entries()) });
}

/** The end of marked traffic where the bake stage, which ends it, was not reached: its gate is judged under that stage. */
const settleTraffic = (run: Run): Promise<void> => endSynthetic(run.at('bake').context);

/** The error of a failed clean-up, which is not undone: `resume` does what is left. */
function unfinished(doing: string, error: unknown): OperationError {
  if (error instanceof OperationError) return error;
  return new OperationError(
    doing,
    messageOf(error),
    `the new version is live and stays live. Correct the cause, then: ${greenlight('resume')}`,
    {
      cause: error,
    },
  );
}

/** Ends an interrupted release by undoing it. If it was being undone already, that reason stays. */
export async function abandon(
  settings: ReleaseSettings,
  stages: readonly Stage[],
  reason: string,
  { acceptLoss = false } = {},
): Promise<ReleaseOutcome> {
  const run = openRun(settings);
  const begun = undoStarted(settings.journal.entries());
  try {
    const why: Reason = { ...(begun ?? { reason, outcome: 'aborted', automatic: false }), acceptLoss };
    const outcome = await undoAll(run, settings, stages, why);
    await settleTraffic(run);
    await announceEnd(settings, outcome.verdict);
    return end(settings, outcome);
  } finally {
    await run.close();
  }
}

/** Records how a release ended. */
export function end({ journal }: Pick<ReleaseSettings, 'journal'>, outcome: ReleaseOutcome): ReleaseOutcome {
  journal.append({ type: 'release.ended', ...outcome, ...totals(journal.entries()) });
  return outcome;
}

/** Why a release is being undone; undefined where it is not: also where somebody was to agree to a loss first, and has not. */
export function undoStarted(entries: readonly JournalEntry[]): Reason | undefined {
  const found = lastOf(entries, 'undo.started');
  if (found === undefined || movedInWindow(entries)) return undefined;
  const { reason, outcome, automatic } = found;
  return { reason, outcome, automatic };
}

function reasonOf({ directory }: ReleaseSettings, error: unknown): Reason {
  const outcome: ReleaseVerdict = error instanceof StageStopped ? error.outcome : 'failed';
  return { reason: messageOf(error), outcome, automatic: !rollbackRequested(directory) && outcome !== 'aborted' };
}

/** Stages that ended well and were not undone since. */
export function passedStages(entries: readonly JournalEntry[]): Set<StageId> {
  const passed = new Set<StageId>();
  for (const entry of entries) {
    if (entry.type === 'stage.ended' && passes(entry.verdict)) passed.add(entry.stage);
    if (entry.type === 'stage.started' || entry.type === 'stage.undone') passed.delete(entry.stage);
  }
  return passed;
}

async function runStage(run: Run, { journal, signal }: ReleaseSettings, stage: Stage): Promise<void> {
  signal.throwIfAborted();
  const first = journal.entries().length;
  const started = performance.now();
  const { context, observedMs } = run.at(stage.id);
  journal.append({ type: 'stage.started', stage: stage.id });
  const ended = (verdict: Verdict, reason?: string) =>
    journal.append({
      type: 'stage.ended',
      stage: stage.id,
      verdict,
      reason,
      ms: Math.round(performance.now() - started),
      observationMs: Math.round(observedMs()),
    });

  try {
    await takeSteps(context, stage);
    const problem = await stage.verify?.(context);
    if (problem !== undefined) throw new StageStopped('no-go', `${stage.title}: ${problem}`);
  } catch (error) {
    const failed = error instanceof StageStopped;
    ended(failed ? 'fail' : 'error', signal.aborted ? 'interrupted' : messageOf(error));
    throw error;
  }

  const gates = allOf(journal.entries().slice(first), 'gate.judged').map(({ gate }) => gate);
  const verdict = worstMeasured(['pass', ...gates.map((gate) => gate.verdict)]);
  const stopping = gates.filter((gate) => stops(gate.verdict));
  const reason = stopping
    .map((gate) => `${gate.title}: ${gate.verdict} (${gate.measured}, wanted ${gate.wanted})`)
    .join('; ');
  ended(verdict, reason === '' ? undefined : reason);
  if (stopping.length > 0) throw new StageStopped('no-go', reason);
}

/**
 * Undoes the started stages, newest first. If a stage cannot be undone, the others still are. The release has not ended then: this
 * rejects, and `resume` tries again.
 */
async function undoAll(
  run: Run,
  { journal, signal, kind, to }: ReleaseSettings,
  stages: readonly Stage[],
  why: Reason,
): Promise<ReleaseOutcome> {
  const { reason, outcome, automatic } = why;
  // A rehearsal has nothing to lose.
  if (movedInWindow(journal.entries()) && kind !== 'rehearsal' && why.acceptLoss !== true)
    throw somebodyDecides(to.colour, reason);
  journal.append({ type: 'undo.started', reason, outcome, automatic });
  const startedStages = new Set(allOf(journal.entries(), 'stage.started').map(({ stage }) => stage));
  const problems: string[] = [];
  for (const stage of stages.filter(({ id }) => startedStages.has(id)).reverse()) {
    if (stage.undo === undefined) continue;
    const { context } = run.at(stage.id);
    context.waiting(`undo: ${stage.title}`);
    const started = performance.now();
    try {
      const what = await stage.undo(context, why);
      if (what === undefined) continue;
      journal.append({ type: 'stage.undone', stage: stage.id, what, ms: Math.round(performance.now() - started) });
    } catch (undoError) {
      signal.throwIfAborted();
      // It is not known who is live. The other stages would decide by what the balancer happens to say now.
      if (undoError instanceof CutoverAborted && !undoError.undone) throw undoError;
      problems.push(`${stage.title} was not undone: ${messageOf(undoError)}`);
      context.note(problems.at(-1) as string, 'warning');
    }
  }
  const rolledBack = journal.entries().some((entry) => entry.type === 'rollback.done');
  if (problems.length > 0) {
    throw new OperationError(
      `undoing the release, which had stopped (${why.reason})`,
      problems.join('; '),
      `see what is live: ${greenlight('status')}. Correct the cause, then: ${greenlight('resume')}`,
    );
  }
  // After a window a rehearsal stays on the new version.
  const stays = movedInWindow(journal.entries()) && why.outcome === 'rolled-back';
  return { verdict: rolledBack ? 'rolled-back' : stays ? 'no-go' : why.outcome, reason: why.reason };
}

function totals(entries: readonly JournalEntry[]) {
  const first = entries[0];
  const stages = allOf(entries, 'stage.ended');
  return {
    wallMs: first === undefined ? 0 : Date.now() - Date.parse(first.at),
    observationMs: stages.reduce((sum, stage) => sum + stage.observationMs, 0),
    // Kilobytes, on every platform: https://nodejs.org/api/process.html#processresourceusage
    peakMemoryMb: Math.round(process.resourceUsage().maxRSS / 1024),
  };
}
