import { passes, worst } from '../journal/verdict.ts';
import { createContext, type ReleaseContext, type ReleaseSettings } from './context/context.ts';
import { announceEnd } from './steps/announce.ts';
import type { JournalEntry, ReleaseVerdict, StageId } from '../journal/events.ts';
import { messageOf, OperationError } from '../../infra/lib/errors.ts';
import { CutoverAborted } from '../data/cutover/cutover.ts';
import { StageStopped, type Stage } from './context/stage.ts';
import { endSynthetic } from './synthetic/synthetic.ts';

/** Why everything is undone, and what the release ends as where nothing had been moved. */
interface Reason {
  reason: string;
  outcome: ReleaseVerdict;
  /** Whether the release decided so by itself. */
  automatic: boolean;
}

export interface ReleaseOutcome {
  verdict: ReleaseVerdict;
  reason: string;
}

/**
 * Takes a release through its stages. A stage that the journal has as passed is not done again; the first other one
 * is done from its beginning. Whatever stops a release, what it changed is undone in reverse order. What leaves the rest
 * as it is for `resume`, and rejects: an interruption, the end of this program's credentials, a failure past the point of
 * no return, a cutover that could not be undone by itself, and whatever else could not be undone.
 */
export async function runRelease(settings: ReleaseSettings, stages: readonly Stage[]): Promise<ReleaseOutcome> {
  const context = createContext(settings);
  const done = passedStages(settings.journal.entries());
  let outcome: ReleaseOutcome = { verdict: 'go', reason: `${settings.to.version} is live on ${settings.to.colour}` };
  try {
    for (const stage of stages) {
      if (!done.has(stage.id)) await runStage(context, stage);
    }
  } catch (error) {
    settings.signal.throwIfAborted();
    if (settings.platform.stopsHere?.(error) === true) throw error;
    const asked = error instanceof StageStopped && error.outcome === 'rolled-back';
    if (context.stage === 'cleanup' && !asked) throw unfinished('cleaning up after the release', error);
    if (error instanceof CutoverAborted && !error.undone) throw error;
    outcome = await undoAll(context, stages, reasonOf(context, error));
    await endSynthetic(context);
  } finally {
    await context.close();
  }
  await announceEnd(settings, outcome.verdict);
  return end(settings, outcome);
}

/** Nothing is undone any more: what is left to do is done by `resume`. */
function unfinished(doing: string, error: unknown): OperationError {
  if (error instanceof OperationError) return error;
  return new OperationError(doing, messageOf(error), 'the new version is live; mend that, then: npm run resume', {
    cause: error,
  });
}

/** Ends an interrupted release by undoing it. Where it was being undone already, the reason for that stays. */
export async function abandon(
  settings: ReleaseSettings,
  stages: readonly Stage[],
  reason: string,
): Promise<ReleaseOutcome> {
  const context = createContext(settings);
  const begun = undoStarted(settings.journal.entries());
  try {
    const outcome = await undoAll(context, stages, begun ?? { reason, outcome: 'aborted', automatic: false });
    await endSynthetic(context);
    await announceEnd(settings, outcome.verdict);
    return end(settings, outcome);
  } finally {
    await context.close();
  }
}

/** Records how a release ended. */
export function end({ journal }: Pick<ReleaseSettings, 'journal'>, outcome: ReleaseOutcome): ReleaseOutcome {
  journal.append({ type: 'release.ended', ...outcome, ...totals(journal.entries()) });
  return outcome;
}

/** Why a release is being undone; undefined where it is not. */
export function undoStarted(entries: readonly JournalEntry[]): Reason | undefined {
  const found = entries.findLast((entry) => entry.type === 'undo.started');
  if (found?.type !== 'undo.started') return undefined;
  const { reason, outcome, automatic } = found;
  return { reason, outcome, automatic };
}

function reasonOf(context: ReleaseContext, error: unknown): Reason {
  const outcome: ReleaseVerdict = error instanceof StageStopped ? error.outcome : 'failed';
  return { reason: messageOf(error), outcome, automatic: !context.rollbackRequested() && outcome !== 'aborted' };
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

async function runStage(context: ReleaseContext, stage: Stage): Promise<void> {
  const { journal, signal } = context;
  signal.throwIfAborted();
  const first = journal.entries().length;
  const started = performance.now();
  context.stage = stage.id;
  context.observationMs = 0;
  journal.append({ type: 'stage.started', stage: stage.id });
  const ended = (verdict: ReturnType<typeof worst>, reason?: string) =>
    journal.append({
      type: 'stage.ended',
      stage: stage.id,
      verdict,
      reason,
      ms: Math.round(performance.now() - started),
      observationMs: Math.round(context.observationMs),
    });

  try {
    await stage.apply(context);
    const problem = await stage.verify(context);
    if (problem !== undefined) throw new StageStopped('no-go', `${stage.title}: ${problem}`);
  } catch (error) {
    const failed = error instanceof StageStopped;
    ended(failed ? 'fail' : 'error', signal.aborted ? 'interrupted' : messageOf(error));
    throw error;
  }

  const gates = journal
    .entries()
    .slice(first)
    .flatMap((entry) => (entry.type === 'gate.judged' ? [entry.gate] : []));
  const verdict = worst(['pass', ...gates.map((gate) => gate.verdict)]);
  const stopping = gates.filter((gate) => !passes(gate.verdict));
  const reason = stopping
    .map((gate) => `${gate.title}: ${gate.verdict} (${gate.measured}, wanted ${gate.wanted})`)
    .join('; ');
  ended(verdict, reason === '' ? undefined : reason);
  if (stopping.length > 0) throw new StageStopped('no-go', reason);
}

/**
 * Undoes the started stages, last first. One that cannot be undone does not keep the others from being undone; but with it
 * the release has not ended: it rejects, and `resume` tries again.
 */
async function undoAll(context: ReleaseContext, stages: readonly Stage[], why: Reason): Promise<ReleaseOutcome> {
  const { journal, signal } = context;
  journal.append({ type: 'undo.started', ...why });
  const startedStages = new Set(journal.entries().flatMap((e) => (e.type === 'stage.started' ? [e.stage] : [])));
  const problems: string[] = [];
  context.stopReason = why.reason;
  context.stopAutomatic = why.automatic;
  for (const stage of stages.filter(({ id }) => startedStages.has(id)).reverse()) {
    context.stage = stage.id;
    context.waiting(`undo: ${stage.title}`);
    const started = performance.now();
    try {
      const what = await stage.undo(context);
      if (what === undefined) continue;
      journal.append({ type: 'stage.undone', stage: stage.id, what, ms: Math.round(performance.now() - started) });
    } catch (undoError) {
      signal.throwIfAborted();
      // Who is live is not known then: the others must not decide by what the balancer says at the moment.
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
      'see what is live: npm run status; mend that, then: npm run resume',
    );
  }
  return { verdict: rolledBack ? 'rolled-back' : why.outcome, reason: why.reason };
}

function totals(entries: readonly JournalEntry[]) {
  const first = entries[0];
  const stages = entries.flatMap((entry) => (entry.type === 'stage.ended' ? [entry] : []));
  return {
    wallMs: first === undefined ? 0 : Date.now() - Date.parse(first.at),
    observationMs: stages.reduce((sum, stage) => sum + stage.observationMs, 0),
    // Kilobytes, on every platform: https://nodejs.org/api/process.html#processresourceusage
    peakMemoryMb: Math.round(process.resourceUsage().maxRSS / 1024),
  };
}
