import { worst, type Verdict } from '../../journal/verdict.ts';
import { describeExtension } from '../../journal/extension.ts';
import { refusedAsAnnounced } from '../../journal/refused.ts';
import { describeGap } from '../../journal/way-back.ts';
import { describeLoss } from '../../journal/loss.ts';
import { describePlanned } from '../../journal/window.ts';
import { formatCount, formatDuration, plural } from '../../journal/format.ts';
import type { Facts, GateRow } from './model.ts';

/** What one part of the journal proves. The verdict is `not-run` if nothing was measured. */
export interface Proof {
  verdict: Verdict;
  measured: string;
  wanted: string;
}
export type ProofOf = (facts: Facts) => Proof;

const notMeasured = (wanted: string): Proof => ({ verdict: 'not-run', measured: 'not measured', wanted });

export const noFailedRequest: ProofOf = ({ requests: { total, failed, refused = 0, countedBy } }) => {
  const wanted = 'no failed request';
  if (total === null || failed === null) return notMeasured(wanted);
  const by = countedBy === 'synthetic' ? 'counted by the clients' : 'counted at the entry point';
  const measured = `${formatCount(failed)} of ${formatCount(total)} failed, ${by}${refused === 0 ? '' : `; ${refusedAsAnnounced(refused)}`}`;
  return { verdict: total === 0 ? 'inconclusive' : failed === 0 ? 'pass' : 'fail', measured, wanted };
};

/** With a read-only window: it lasted no longer than what was approved. Nothing where there is none. */
export const refusedAsApproved: ProofOf = ({ window }) => {
  if (window === null) return { verdict: 'pass', measured: '', wanted: '' };
  const wanted = `writes are refused for at most ${formatDuration(window.longestMs)}, as approved`;
  if (window.refusedMs === null) return notMeasured(wanted);
  const measured = `refused for ${formatDuration(window.refusedMs)}; reads went on`;
  return { verdict: window.refusedMs <= window.longestMs ? 'pass' : 'fail', measured, wanted };
};

export const everyWriteOnce: ProofOf = ({ writes: { acknowledged, lost, duplicated } }) => {
  const wanted = 'every acknowledged write exists exactly once';
  if (acknowledged === null) return notMeasured(wanted);
  const measured = `${formatCount(acknowledged)} acknowledged, ${formatCount(lost ?? 0)} lost, ${formatCount(duplicated ?? 0)} twice`;
  return {
    verdict: acknowledged === 0 ? 'inconclusive' : lost === 0 && duplicated === 0 ? 'pass' : 'fail',
    measured,
    wanted,
  };
};

export const tablesEqual: ProofOf = ({ data: { comparisons } }) => {
  const wanted = 'every table that both versions have is equal, by count and checksum';
  const last = comparisons.at(-1);
  if (!last) return notMeasured(wanted);
  const unequal = comparisons.flatMap((c) => c.tables.filter((t) => !t.equal).map((t) => `${t.table} (${c.moment})`));
  if (unequal.length > 0) return { verdict: 'fail', measured: `not equal: ${unequal.join(', ')}`, wanted };
  const both = last.tables.filter((table) => table.only === undefined);
  const rows = both.reduce((sum, table) => sum + table.rows.right, 0);
  const alone = both.length === last.tables.length ? '' : `, ${last.tables.length - both.length} on one side only`;
  const measured = `${plural(both.length, 'table')}, ${plural(rows, 'row')} equal at the ${last.moment}${alone}; ${plural(comparisons.length, 'comparison')}`;
  const none = last.tables.length === 0 ? 'not-run' : 'inconclusive';
  return { verdict: both.length === 0 ? none : 'pass', measured, wanted };
};

export const backupRestored: ProofOf = ({ data: { restores } }) => {
  const wanted = 'a restored copy that equals the original';
  const last = restores.at(-1);
  if (!last) return notMeasured(wanted);
  const { tables, structure } = last;
  const equal = tables.every((table) => table.equal) && (structure?.different ?? []).length === 0;
  const unknown = (structure?.unknown ?? []).length > 0;
  const what = `${plural(tables.length, 'table')}${structure === undefined ? '' : `, ${plural(structure.objects, 'object')} and ${plural(structure.sequences, 'sequence')}`}`;
  const found = !equal ? 'compared, not all equal' : unknown ? 'compared, not all could be judged' : 'equal';
  const measured = `RTO ${formatDuration(last.recoveryTimeMs)}, RPO ${formatDuration(last.recoveryPointMs)}, ${what} ${found}`;
  // The gate says whether that is as it should be.
  const compared = tables.length === 0 ? 'not-run' : 'pass';
  return { verdict: !equal ? 'fail' : unknown ? 'inconclusive' : compared, measured, wanted };
};

export const alertArrived: ProofOf = ({ alerts }) => {
  const wanted = 'an alert reaches a receiver';
  const first = alerts[0];
  if (!first) return notMeasured(wanted);
  return {
    verdict: 'pass',
    measured: `${first.alert} reached ${first.receiver} in ${formatDuration(first.ms)}`,
    wanted,
  };
};

export const usersTold: ProofOf = ({ announcements }) => {
  const wanted = 'every announcement delivered';
  if (announcements.length === 0) return notMeasured(wanted);
  const failed = announcements.filter((a) => !a.ok);
  return {
    verdict: failed.length === 0 ? 'pass' : 'fail',
    measured:
      failed.length === 0
        ? `${announcements.length} delivered`
        : `not delivered to ${failed.map((a) => a.to).join(', ')}`,
    wanted,
  };
};

export const canaryJudged: ProofOf = ({ canary, window, settings }) => {
  const wanted = 'every step as good as the live version';
  if (window !== null)
    return { verdict: 'not-run', measured: 'no canary: the new version starts in the read-only window', wanted };
  if (canary.length === 0)
    return hasNoCanary(settings)
      ? { verdict: 'not-run', measured: 'no canary, by the definition (canary.steps: [])', wanted }
      : notMeasured(wanted);
  const passed = canary.filter((step) => step.verdict === 'pass').length;
  const bad = canary.find((step) => step.verdict !== 'pass');
  const measured = `${passed} of ${plural(canary.length, 'canary step')} passed${bad ? `; at ${bad.percent} %: ${bad.reason}` : ''}`;
  return { verdict: worst(canary.map((step) => step.verdict)), measured, wanted };
};

/** The settings as the release began with them. */
function hasNoCanary({ canary }: Facts['settings']): boolean {
  const steps = (canary as { steps?: unknown } | undefined)?.steps;
  return Array.isArray(steps) && steps.length === 0;
}

export const bakeWatched: ProofOf = ({ stages }) => {
  const wanted = 'the service level holds for the whole bake time';
  const bake = stages.find((stage) => stage.id === 'bake');
  if (!bake || bake.ms === null || bake.verdict === 'running') return notMeasured(wanted);
  const measured = bake.verdict === 'pass' ? `held for ${formatDuration(bake.ms)}` : (bake.reason ?? 'it did not hold');
  return { verdict: bake.verdict, measured, wanted };
};

export const wayBackLossless: ProofOf = ({ rollback, window, data: { sync, extension, gap } }) => {
  const wanted = 'a rollback loses no write, and leaves none behind';
  if (rollback?.ms != null && rollback.loss !== null) {
    const measured = `rolled back in ${formatDuration(rollback.ms)}; ${describeLoss(rollback.loss)}`;
    if (rollback.lossless === null) return { verdict: 'inconclusive', measured, wanted };
    return { verdict: rollback.lossless ? 'pass' : 'fail', measured, wanted };
  }
  if (rollback) return { verdict: 'inconclusive', measured: 'the rollback has not finished', wanted };
  if (window !== null) return { verdict: 'fail', measured: `none: ${describePlanned(plannedOf(window))}`, wanted };
  if (gap !== null && gap.until === undefined) return { verdict: 'fail', measured: describeGap(gap), wanted };
  const reverse = sync.findLast((s) => s.direction === 'reverse');
  if (!reverse) return notMeasured(wanted);
  const beforehand = extension === null ? '' : `; ${describeExtension(extension)}`;
  const ready = reverse.tablesReady === reverse.tables && reverse.tables > 0;
  const measured = `reverse replication of ${reverse.tablesReady} of ${plural(reverse.tables, 'table')}, ${formatDuration(reverse.lagMs)} behind${beforehand}${gap === null ? '' : `; the way back ${describeGap(gap)}`}`;
  return { verdict: ready ? 'pass' : reverse.tables === 0 ? 'not-run' : 'inconclusive', measured, wanted };
};

/** Whether the journal says what a rollback would leave behind. Recorded before the approval. */
export const wayBackKnown: ProofOf = ({ window, data: { extension } }) => {
  const wanted = 'known before the decision';
  if (window !== null) return { verdict: 'pass', measured: describePlanned(plannedOf(window)), wanted };
  if (extension === null) return notMeasured(wanted);
  return { verdict: 'pass', measured: describeExtension(extension), wanted };
};

const plannedOf = ({ longestMs, expectedMs }: NonNullable<Facts['window']>) => ({
  longestMs,
  ...(expectedMs === null ? {} : { expectedMs }),
});

/** The gates with one of these ids, each from every stage that has it. */
export function gatesOf(facts: Pick<Facts, 'gates'>, ids: readonly string[]): GateRow[] {
  return facts.gates.filter((gate) => ids.includes(gate.id));
}

/** Combines gates and proofs. The worst verdict counts. The texts are those with that verdict, one per line. */
export function summarise(gates: readonly GateRow[], proofs: readonly Proof[]): Proof {
  const all: (Proof & { title?: string })[] = [...proofs, ...gates];
  const verdict = all.length === 0 ? 'not-run' : worst(all.map((one) => one.verdict));
  const told = verdict === 'pass' ? all : all.filter((one) => one.verdict === verdict);
  const text = (key: 'measured' | 'wanted'): string => {
    const distinct = new Set(
      told.map((one) => (all.length > 1 && one.title && one[key] ? `${one.title}: ${one[key]}` : one[key])),
    );
    return [...distinct].filter(Boolean).join('\n');
  };
  return { verdict, measured: all.length === 0 ? 'not run' : text('measured'), wanted: text('wanted') };
}
