import type { Artefact, Colour } from '../../../infra/model.ts';
import type { GateResult, Verdict } from '../../journal/verdict.ts';
import type { ReleaseVerdict, StageId, WriteLedger } from '../../journal/events.ts';
import type { Extension } from '../../journal/extension.ts';
import type { WayBackGap } from '../../journal/way-back.ts';
import type { Loss } from '../../journal/loss.ts';
import type { EntryOf } from '../../journal/entries.ts';

/**
 * The report as plain data. `buildReport` makes it from a journal; the renderers only format it. Times are ISO 8601 in
 * UTC, durations are milliseconds, and `null` means that the journal does not say.
 */
export interface ReportModel {
  schemaVersion: 1;
  verdict: ReleaseVerdict | 'in-progress';
  /** Why this verdict, in one sentence. */
  reason: string;
  release: string;
  kind: 'go-live' | 'release' | 'rehearsal';
  application: string;
  environment: string;
  platform: string;
  /** What emulated the platform's control plane; undefined: it was the real one. */
  emulatedBy: string | undefined;
  from: Placement | null;
  to: Placement;
  source: { commit: string; branch: string; dirty: boolean };
  startedAt: string;
  /** Time of the last entry. */
  endedAt: string;
  requests: Requests;
  writes: { [K in keyof WriteLedger]: number | null };
  hold: Hold;
  window: Window | null;
  gates: GateRow[];
  stages: StageRow[];
  rollback: Rollback | null;
  overhead: { wallMs: number; observationMs: number; percent: number };
  peakMemoryMb: number | null;
  checklist: Requirement[];
  risks: Risk[];
  approval: Approval | null;
  waivers: { gate: string; by: string; reason: string; expires: string }[];
  frames: Frame[];
  traffic: TrafficPoint[];
  marks: { at: number; label: string }[];
  data: DataSection;
  cutovers: Cutover[];
  canary: EntryOf<'canary.step'>[];
  stacks: EntryOf<'stack.applied'>[];
  artefacts: Artefact[];
  alerts: EntryOf<'alert.delivered'>[];
  announcements: EntryOf<'announcement.sent'>[];
  notes: { at: string; level: 'info' | 'warning'; text: string }[];
  /** Actions announced in the journal without an end: they may or may not have been executed. */
  unfinished: { id: string; what: string }[];
  settings: Record<string, unknown>;
  journal: { entries: number; damage: string | null };
}

/** The data that the checklist and the risk register are judged by. */
export type Facts = Pick<
  ReportModel,
  | 'gates'
  | 'stages'
  | 'canary'
  | 'settings'
  | 'requests'
  | 'writes'
  | 'hold'
  | 'window'
  | 'rollback'
  | 'alerts'
  | 'announcements'
  | 'data'
>;

export interface Placement {
  colour: Colour;
  version: string;
}

export interface Requests {
  total: number | null;
  failed: number | null;
  /** Writes that were refused as announced, which are not among the failed ones. Absent: none. */
  refused?: number;
  /** `synthetic`: counted by the synthetic clients. `balancer`: counted by the entry point, because there were none. */
  countedBy: 'synthetic' | 'balancer' | null;
  perSecond: number | null;
  failures: string[];
}

export type GateRow = GateResult & { stage: StageId | null; at: string | null };

export interface StageRow {
  id: StageId;
  title: string;
  verdict: Verdict | 'running';
  reason: string | null;
  startedAt: string | null;
  ms: number | null;
  expectedMs: number;
  observationMs: number;
  undone: { what: string; ms: number; at: string }[];
}

export interface Rollback {
  automatic: boolean;
  reason: string;
  startedAt: string;
  /** Null while it runs. */
  ms: number | null;
  /** Derived from `loss`, for programs. Null: not known, or not known yet. */
  lossless: boolean | null;
  /** Null while it runs. */
  loss: Loss | null;
  detail: string | null;
}

/** A line of the go-live checklist. */
export interface Requirement {
  id: string;
  title: string;
  verdict: Verdict;
  measured: string;
  wanted: string;
  gates: string[];
  evidence: string[];
}

export interface Risk {
  id: string;
  title: string;
  /** `held`: every mitigation is proven. `occurred`: the damage was measured. Otherwise `open`. */
  status: 'held' | 'open' | 'occurred';
  mitigations: { text: string; verdict: Verdict; proof: string; gates: string[] }[];
}

export interface Approval {
  given: boolean;
  by: string;
  how: string;
  at: string;
  note: string | null;
}

/** Distribution of the traffic from `at` on. */
export interface Frame {
  title: string;
  at: string;
  holding: boolean;
  /** Writes are refused, in a read-only window. Absent: they are not. */
  refusing?: true;
  colours: Record<Colour, { version: string | null; readsPercent: number; writes: boolean }>;
  /** Percent of the requests that each colour answered during this frame; null without traffic. */
  observed: Record<Colour, number> | null;
}

export interface TrafficPoint {
  from: number;
  to: number;
  colours: Record<Colour, { perSecond: number; errors: number; p50Ms: number | null; p95Ms: number | null }>;
}

export interface DataSection {
  backups: EntryOf<'backup.taken'>[];
  restores: EntryOf<'backup.restored'>[];
  migrations: EntryOf<'migration.applied'>[];
  comparisons: EntryOf<'data.compared'>[];
  sync: EntryOf<'sync.progress'>[];
  /** What the migrations add to the schema, which a rollback would leave behind; null: not known. */
  extension: Extension | null;
  /** A time in which nothing could go back, as the old database was lost; null: there was none. */
  gap: WayBackGap | null;
}

/** How long writes were held, also by cutovers that were aborted. */
export interface Hold {
  /** The longest that was measured; null where none was. */
  maxMs: number | null;
  /** Cutovers whose hold nobody measured: the program was killed meanwhile. */
  unmeasured: number;
}

/** The read-only window of a release: null in the model where its writes move without one. */
export interface Window {
  longestMs: number;
  /** As rehearsed; null before that. */
  expectedMs: number | null;
  /** How long writes were refused; null where they were not, or nobody measured it. */
  refusedMs: number | null;
}

export interface Cutover {
  direction: 'forward' | 'rollback';
  steps: { step: string; ms: number; detail: string | null; at: string }[];
  /** How long it held writes, ms; null if it was not measured. */
  holdMs: number | null;
  /** In a read-only window: how long it refused writes, ms; null if it was not measured. Absent: without a window. */
  refusedMs?: number | null;
  /** Null if it was started and not finished. `totalMs` is null if the program was killed, and `resume` finished it. */
  done: { from: Colour; to: Colour; totalMs: number | null; at: string } | null;
  /** What stayed connected to the colour that was left, and was ended, as a sentence. Absent: nothing. */
  left?: string;
}
