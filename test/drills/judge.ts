import { isDeepStrictEqual } from 'node:util';
import { other } from '../../infra/model.ts';
import { passes } from '../../automation/journal/verdict.ts';
import type { ReportModel } from '../../automation/report/model/model.ts';
import type { IncrementLedger } from './clients.ts';
import { mostBetween, type Sample } from './memory.ts';
import type { Check, Scenario } from './scenario.ts';
import type { World } from './world.ts';

export interface DrillResult {
  name: string;
  fault: string;
  ok: boolean;
  verdict: string;
  exitCode: number;
  /** As the release said it. */
  reason: string;
  /** Gate or stage that stopped it. */
  caughtBy: string;
  /** From the start of the release, and of the stage, until it was caught; seconds. */
  caughtAfter: number | null;
  caughtInStageAfter: number | null;
  requests: { total: number | null; failed: number | null };
  writes: ReportModel['writes'];
  /** Of the drill's own clients; absent where no traffic was to be moved. */
  ledger?: IncrementLedger;
  holdMs: number | null;
  /** How long a read-only window refused writes; absent where there was none. */
  refusedMs?: number;
  /** Of the whole drill. */
  seconds: number;
  /** Of the release; absent where it left no report. */
  figures?: Figures;
  checks: Check[];
}

/** What a release of so much data costs. */
export interface Figures {
  /** Each stage that ran, and the whole of what was undone. */
  stageSeconds: Record<string, number>;
  /** Most memory of the program in each of them, MB; a stage is missing where nothing was recorded. */
  stageMegabytes: Record<string, number>;
  /** Most memory of the program itself; null: not known. */
  peakMegabytes: number | null;
  /** Rows of the largest comparison. */
  rowsCompared: number;
}

export interface Outcome {
  exitCode: number;
  report: ReportModel;
  before: World;
  after: World;
  version: string;
  checks: Check[];
  ledger?: IncrementLedger;
  seconds: number;
  /** Memory of the release's program; absent where it was not recorded. */
  memory?: readonly Sample[];
}

/** Compares what came of a drill with what has to come of it: the report's word, and the world's. */
export function judge(scenario: Scenario, outcome: Outcome): DrillResult {
  const { report, exitCode, before, after } = outcome;
  const { orElse } = scenario;
  const expect = orElse?.verdict === report.verdict ? orElse : scenario.expect;
  const caught = whoCaught(report, expect);
  const checks = [
    ...outcome.checks,
    check('exit code', exitCode, expect.exitCode),
    check('verdict', report.verdict, expect.verdict),
    ...(expect.verdict === 'go'
      ? []
      : [check('caught by', caught.by, expect.gate ?? `stage ${expect.stage}`), says(report)]),
    ...felt(scenario, report),
    ...booksOf(scenario, outcome.ledger),
    ...(expect.verdict === 'go' ? moved(outcome) : untouched(before, after, scenario.restarted)),
    ...worldIsWhole(after),
  ];
  const { requests, writes, hold, verdict, reason } = report;
  return {
    name: scenario.name,
    fault: scenario.fault,
    ok: checks.every(({ ok }) => ok),
    verdict,
    exitCode,
    reason,
    caughtBy: caught.by,
    caughtAfter: caught.after,
    caughtInStageAfter: caught.inStageAfter,
    requests: { total: requests.total, failed: requests.failed },
    writes,
    ...(outcome.ledger === undefined ? {} : { ledger: outcome.ledger }),
    holdMs: hold.maxMs,
    ...(report.window?.refusedMs == null ? {} : { refusedMs: report.window.refusedMs }),
    seconds: outcome.seconds,
    figures: figuresOf(outcome),
    checks,
  };
}

function figuresOf({ report, memory = [] }: Outcome): Figures {
  const ran = report.stages.flatMap(({ id, startedAt, ms }) => {
    const from = Date.parse(startedAt ?? '');
    return ms === null ? [] : [{ id, ms, from, to: from + ms }];
  });
  const undoing = report.stages.flatMap(({ undone }) => undone.map(({ ms }) => ms));
  const undo = {
    id: 'undo',
    ms: undoing.reduce((sum, ms) => sum + ms, 0),
    from: Math.max(...ran.map(({ to }) => to)),
    to: Infinity,
  };
  const parts = [...ran, undo];
  const rows = report.data.comparisons.map(({ tables }) => tables.reduce((sum, { rows: { left } }) => sum + left, 0));
  return {
    stageSeconds: Object.fromEntries(parts.map(({ id, ms }) => [id, Math.round(ms / 100) / 10])),
    stageMegabytes: Object.fromEntries(
      parts.flatMap(({ id, from, to }) => {
        const most = mostBetween(memory, from, to);
        return most === undefined ? [] : [[id, most]];
      }),
    ),
    peakMegabytes: report.peakMemoryMb,
    rowsCompared: Math.max(0, ...rows),
  };
}

/** A drill that could not be done to its end: never as expected. */
export const brokenOff = (scenario: Scenario, error: Error): DrillResult => ({
  ...withoutReport(scenario),
  ok: false,
  verdict: 'drill broke off',
  exitCode: -1,
  reason: error.message,
  seconds: 0,
  checks: [{ what: 'the drill to be done', ok: false, found: error.message }],
});

/** What is known of a drill that no release reports on. */
export const withoutReport = ({ name, fault }: Scenario) => ({
  name,
  fault,
  caughtBy: 'nobody',
  caughtAfter: null,
  caughtInStageAfter: null,
  requests: { total: null, failed: null },
  writes: { acknowledged: null, lost: null, duplicated: null, unknown: null },
  holdMs: null,
});

export const check = (what: string, found: unknown, wanted: unknown): Check => ({
  what: `${what}: ${text(wanted)}`,
  ok: isDeepStrictEqual(found, wanted),
  found: text(found),
});

const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

const says = ({ reason }: ReportModel): Check => ({ what: 'says why', ok: reason.trim() !== '', found: reason });

/** The first stage that did not pass, and of its gates the expected one, or else the first that did not pass. */
function whoCaught(report: ReportModel, expect: Scenario['expect']) {
  const stage = report.stages.find(({ verdict }) => verdict !== 'not-run' && !passes(verdict as never));
  if (stage === undefined || expect.verdict === 'go') return { by: 'nobody', after: null, inStageAfter: null };
  const failing = report.gates.filter((g) => g.stage === stage.id && g.verdict !== 'not-run' && !passes(g.verdict));
  const gate = failing.find(({ id }) => id === expect.gate) ?? failing[0];
  const began = Date.parse(stage.startedAt ?? report.startedAt);
  const at = gate?.at == null ? began + (stage.ms ?? 0) : Date.parse(gate.at);
  const seconds = (ms: number) => Math.round(ms / 100) / 10;
  return {
    by: gate?.id ?? `stage ${stage.id}`,
    after: seconds(at - Date.parse(report.startedAt)),
    inStageAfter: seconds(at - began),
  };
}

function felt({ felt: allowed }: Scenario, { requests, writes }: ReportModel): Check[] {
  const none = (what: string, count: number | null): Check => ({
    what: `${what}: 0`,
    ok: (count ?? 0) === 0,
    found: String(count),
  });
  return [
    ...(allowed === 'failed requests' ? [] : [none('failed requests', requests.failed)]),
    ...(allowed === 'lost writes' ? [] : [none('lost writes', writes.lost)]),
    none('writes made twice', writes.duplicated),
  ];
}

/** What the drill's own clients found: every increment that was acknowledged is there, once, and they can go on. */
export function booksOf({ felt: allowed }: Scenario, ledger: IncrementLedger | undefined): Check[] {
  if (ledger === undefined) return [];
  const { acknowledged, lost, doubled, settledMs } = ledger;
  return [
    { what: 'increments were acknowledged', ok: acknowledged > 0, found: String(acknowledged) },
    ...(allowed === 'lost writes' ? [] : [check('lost increments', lost, 0)]),
    check('increments made twice', doubled, 0),
    { what: 'the live colour acknowledges a write in the end', ok: settledMs !== null, found: String(settledMs) },
  ];
}

/** One colour is live and writes, and nothing of the release is left. */
export const worldIsWhole = (after: World): Check[] => [
  check('live by the balancer', after.split, { live: after.live.colour, percent: 0 }),
  check('writes are not held', after.holdMs, 0),
  check('version by the entry point', after.answered.version, after.live.version),
  check('a write by the entry point', after.answered.write, 201),
  check('the other colour is down', after.idleColourUp, false),
  check('replication left on the live database', after.replication, []),
  check('locks left', after.locks, []),
  check('processes left', after.strays, []),
];

/** Not only the same version: the same processes. */
export const untouched = (before: World, after: World, restarted?: RegExp): Check[] => {
  const same = ({ pids }: World) => Object.entries(pids).filter(([id]) => restarted?.test(id) !== true);
  return [
    check('live', after.live, before.live),
    check('processes of the live colour and the balancer', same(after), same(before)),
  ];
};

const moved = ({ before, after, version }: Outcome): Check[] => [
  check('live', after.live, { colour: other(before.live.colour), version }),
];
