import { greenlight } from '../../../infra/lib/command.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import { passes, type Verdict } from '../../journal/verdict.ts';
import { unfinishedActions } from '../../journal/actions.ts';
import type { JournalEntry } from '../../journal/events.ts';
import { describeExtension, type Extension } from '../../journal/extension.ts';
import { wayBackGap } from '../../journal/way-back.ts';
import { lossIn, lossless } from '../../journal/loss.ts';
import { migrationRisks } from '../../journal/migration-risks.ts';
import { buildChecklist } from './checklist.ts';
import { allOf, firstOf, lastOf } from '../../journal/entries.ts';
import { formatClock, plural } from '../../journal/format.ts';
import { describeNotRun } from '../../journal/not-run.ts';
import { describePlanned, movedInWindow, plannedWindow, twoWays } from '../../journal/window.ts';
import { buildCutovers, buildHold, buildWindow } from './cutovers.ts';
import { buildFrames } from './frames.ts';
import type { Approval, Facts, GateRow, ReportModel, Requests, Rollback, StageRow } from './model.ts';
import { buildGates, buildStages } from './progress.ts';
import { buildRisks } from './risks.ts';
import { buildMarks, buildTraffic } from './traffic.ts';

/**
 * Makes the report model of a journal, also of a release that still runs. Pure. `damage` says what is wrong with the
 * journal's file. Throws an OperationError if the journal has no start of a release.
 */
export function buildReport(entries: readonly JournalEntry[], damage?: string): ReportModel {
  const start = firstOf(entries, 'release.started');
  if (!start) {
    throw new OperationError(
      'writing the report',
      'the journal has no start of a release',
      `start one: ${greenlight('release')}`,
    );
  }
  const end = lastOf(entries, 'release.ended');
  const endedAt = entries.at(-1)!.at;
  const gates = buildGates(entries, start.gates ?? []);
  const stages = buildStages(entries, start.stages, end !== undefined);
  const cutovers = buildCutovers(entries);
  const wallMs = end?.wallMs ?? Date.parse(endedAt) - Date.parse(start.at);
  const observationMs = end?.observationMs ?? stages.reduce((sum, stage) => sum + stage.observationMs, 0);

  const facts: Facts = {
    gates,
    stages,
    canary: allOf(entries, 'canary.step'),
    settings: start.settings,
    requests: buildRequests(entries),
    writes: buildWrites(entries),
    hold: buildHold(cutovers),
    window: buildWindow(entries, cutovers),
    rollback: buildRollback(entries),
    alerts: allOf(entries, 'alert.delivered'),
    announcements: allOf(entries, 'announcement.sent'),
    data: {
      backups: allOf(entries, 'backup.taken'),
      restores: allOf(entries, 'backup.restored'),
      migrations: allOf(entries, 'migration.applied'),
      comparisons: allOf(entries, 'data.compared'),
      sync: allOf(entries, 'sync.progress'),
      extension: buildExtension(entries),
      gap: wayBackGap(entries) ?? null,
    },
  };

  return {
    schemaVersion: 1,
    verdict: end?.verdict ?? 'in-progress',
    reason: end?.reason ?? reasonSoFar(entries, stages, gates, facts.data.extension),
    release: start.release,
    kind: start.kind,
    application: start.application,
    environment: start.environment,
    platform: start.platform,
    emulatedBy: start.emulatedBy,
    from: start.from ?? null,
    to: start.to,
    source: start.source,
    startedAt: start.at,
    endedAt,
    ...facts,
    overhead: {
      wallMs,
      observationMs,
      percent: wallMs > 0 ? Math.max(0, (100 * (wallMs - observationMs)) / wallMs) : 0,
    },
    peakMemoryMb: end?.peakMemoryMb ?? null,
    checklist: buildChecklist(facts),
    risks: buildRisks(facts),
    approval: buildApproval(entries),
    waivers: gates.flatMap((gate) => (gate.waiver ? [{ gate: gate.title, ...gate.waiver }] : [])),
    frames: buildFrames(entries, start),
    traffic: buildTraffic(entries),
    marks: buildMarks(entries),
    cutovers,
    stacks: allOf(entries, 'stack.applied'),
    artefacts: allOf(entries, 'artefact.built').map((entry) => entry.artefact),
    notes: notes(entries),
    unfinished: unfinishedActions(entries),
    journal: { entries: entries.length, damage: damage ?? null },
  };
}

/** The reason of a release that has not ended. During the approval it summarises what the decision is based on. */
function reasonSoFar(
  entries: readonly JournalEntry[],
  stages: StageRow[],
  gates: GateRow[],
  extension: Extension | null,
): string {
  const running = stages.find((stage) => stage.verdict === 'running');
  if (running?.id === 'approval') {
    const judged = gates.filter((gate) => gate.verdict !== 'not-run');
    const good = judged.filter((gate) => passes(gate.verdict));
    const waived = judged.filter((gate) => gate.verdict === 'waived').length;
    const told = `${good.length} of ${judged.length} gates so far have passed${waived > 0 ? `, ${waived} of them by a waiver` : ''}${describeNotRun(entries)}`;
    const window = plannedWindow(entries);
    const back =
      window !== undefined
        ? ` Its writes move in a read-only window: ${describePlanned(window)}.`
        : extension === null
          ? ''
          : ` Once it is live, ${describeExtension(extension)}.`;
    const open = migrationRisks(gates).filter(({ accepted }) => accepted === undefined).length;
    const risks =
      open === 0 ? '' : ` Nobody has accepted ${plural(open, 'risk')} of its migrations: see the risk register.`;
    return `Ready for the decision: ${told}. No traffic has moved yet.${back}${risks}`;
  }
  const stopped = stages.findLast(({ verdict }) => verdict !== 'not-run' && verdict !== 'running');
  if (running === undefined && movedInWindow(entries) && stopped !== undefined && !passes(stopped.verdict as Verdict))
    return `Somebody has to decide: ${stopped.title}: ${stopped.reason ?? stopped.verdict}. Nothing goes back by itself after a read-only window. Keep it: ${twoWays.keep}. Go back: ${twoWays.back}.`;
  const where = running ? `The stage “${running.title}” has begun` : 'The release is between two stages';
  return `${where}; the last journal entry is from ${formatClock(entries.at(-1)!.at)} UTC. If no process runs this release any more, it was interrupted: ${greenlight('resume')}.`;
}

/** Counts of the synthetic clients, if there were any; otherwise of the balancer. */
function buildRequests(entries: readonly JournalEntry[]): Requests {
  // Each entry counts all runs so far, so the last one is the total.
  const synthetic = allOf(entries, 'synthetic.ended').at(-1);
  if (synthetic !== undefined) {
    const { requests, perSecond, failures } = synthetic;
    return { ...requests, countedBy: 'synthetic', perSecond, failures };
  }
  const observed = allOf(entries, 'traffic.observed');
  if (observed.length === 0) return { total: null, failed: null, countedBy: null, perSecond: null, failures: [] };
  return {
    total: sum(observed, (e) => e.colours.blue.requests + e.colours.green.requests),
    failed: sum(observed, (e) => e.colours.blue.errors + e.colours.green.errors),
    countedBy: 'balancer',
    perSecond: null,
    failures: [],
  };
}

function buildWrites(entries: readonly JournalEntry[]): ReportModel['writes'] {
  const settled = allOf(entries, 'synthetic.ended').at(-1);
  return settled?.writes ?? { acknowledged: null, lost: null, duplicated: null, unknown: null };
}

function buildRollback(entries: readonly JournalEntry[]): Rollback | null {
  const started = lastOf(entries, 'rollback.started');
  if (!started) return null;
  const done = lastOf(entries, 'rollback.done');
  const mine = done && done.seq > started.seq ? done : undefined;
  return {
    automatic: started.automatic,
    reason: started.reason,
    startedAt: started.at,
    ms: mine?.ms ?? null,
    lossless: (mine && lossless(lossIn(mine))) ?? null,
    loss: mine ? lossIn(mine) : null,
    detail: mine?.detail ?? null,
  };
}

function buildExtension(entries: readonly JournalEntry[]): Extension | null {
  const found = lastOf(entries, 'schema.extended');
  return found ? { tables: found.tables, columns: found.columns } : null;
}

function buildApproval(entries: readonly JournalEntry[]): Approval | null {
  const entry = entries.findLast((e) => e.type === 'approval.given' || e.type === 'approval.refused');
  if (entry?.type === 'approval.given') {
    return { given: true, by: entry.by, how: entry.how, at: entry.at, note: entry.note ?? null };
  }
  if (entry?.type === 'approval.refused') {
    return { given: false, by: entry.by, how: 'refused', at: entry.at, note: entry.reason };
  }
  return null;
}

function notes(entries: readonly JournalEntry[]): ReportModel['notes'] {
  return entries.flatMap((entry) => {
    if (entry.type === 'note') return [{ at: entry.at, level: entry.level, text: entry.text }];
    if (entry.type === 'release.resumed') {
      return [
        {
          at: entry.at,
          level: 'warning' as const,
          text: `Resumed. Found: ${entry.found}. Decision: ${entry.decision}`,
        },
      ];
    }
    return [];
  });
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
