import type { Artefact, Colour, EnvironmentName, PlatformName, Split } from '../../infra/model.ts';
import type { GateResult, Verdict } from './verdict.ts';

/**
 * Everything that a journal can hold. The journal is the only source of the report: what is not in it did not
 * happen. Names are `<subject>.<what happened>`; times are ISO 8601, UTC; durations milliseconds.
 */
export type Event =
  | {
      type: 'release.started';
      release: string;
      kind: 'go-live' | 'release' | 'rehearsal';
      application: string;
      environment: EnvironmentName;
      platform: PlatformName;
      /** Who answered in place of the platform's own control plane. */
      emulatedBy?: string;
      /** Colour and version that were live, absent on a first go-live. */
      from?: { colour: Colour; version: string };
      to: { colour: Colour; version: string };
      /** Major versions of PostgreSQL of the two databases, as far as they were known. */
      postgres?: { from: number; to: number };
      /** Its writes move in a read-only window of at most so long, ms. Absent: without one. */
      readOnlyWindow?: { longestMs: number };
      source: { commit: string; branch: string; dirty: boolean };
      stages: { id: StageId; title: string; expectedMs: number }[];
      /** Every gate that this release is to pass, so that the report lists those that it never reached. */
      gates?: { id: string; title: string; stage: StageId }[];
      /** The parts of the release definition that the report shows; no secrets. */
      settings: Record<string, unknown>;
    }
  | { type: 'release.resumed'; found: string; decision: string }
  | {
      type: 'release.ended';
      verdict: ReleaseVerdict;
      reason: string;
      wallMs: number;
      observationMs: number;
      peakMemoryMb: number;
    }
  | { type: 'stage.started'; stage: StageId }
  | { type: 'stage.ended'; stage: StageId; verdict: Verdict; reason?: string; ms: number; observationMs: number }
  /** Everything is taken back from here on: a release that ends without `release.ended` now goes on with that. */
  | { type: 'undo.started'; reason: string; outcome: ReleaseVerdict; automatic: boolean }
  | { type: 'stage.undone'; stage: StageId; what: string; ms: number }
  /** Written before something that changes the world, and after it: resume looks for intents without an end. */
  | { type: 'action.intent'; id: string; what: string }
  | { type: 'action.done'; id: string; ms: number; result?: string }
  | { type: 'action.failed'; id: string; ms: number; error: string }
  | { type: 'artefact.built'; artefact: Artefact; ms: number; files: number; bytes: number }
  | { type: 'stack.applied'; stack: string; changes: Record<string, number>; ms: number }
  | { type: 'gate.judged'; stage: StageId; gate: GateResult }
  | { type: 'backup.taken'; id: string; bytes: number; lsn?: string; ms: number }
  | {
      type: 'backup.restored';
      id: string;
      recoveryTimeMs: number;
      recoveryPointMs: number;
      tables: TableComparison[];
      /** Absent in a journal of a version that compared only rows. */
      structure?: StructureComparison;
      /** How long the comparison took; absent in a journal of a version that did not measure it. */
      compareMs?: number;
    }
  | {
      type: 'migration.applied';
      where: 'scratch' | 'staging' | Colour;
      name: string;
      phase: 'expand' | 'incompatible' | 'contract';
      ms: number;
    }
  | ({ type: 'window.rehearsed' } & WindowRehearsed)
  /** What the expand migrations add to the schema of the live version: its data cannot go back with a rollback. */
  | { type: 'schema.extended'; tables: string[]; columns: { table: string; columns: string[] }[] }
  | {
      type: 'sync.progress';
      direction: 'forward' | 'reverse';
      tablesReady: number;
      tables: number;
      lagBytes: number;
      lagMs: number;
    }
  | {
      type: 'data.compared';
      moment: 'seed' | 'cutover' | 'rollback' | 'staging' | 'way-back';
      tables: TableComparison[];
      ms: number;
      /** Objects of both catalogs that were compared; absent where only rows were. */
      objects?: number;
      /** What no comparison looks at, such as the rows of a materialised view. */
      notCompared?: string[];
    }
  /**
   * From here on the database of the old colour is made anew, as a copy of the live one, because it is lost. There is no way back
   * until `way-back.remade`; nor was there since `since`, when it was last seen to follow.
   */
  | { type: 'way-back.remaking'; colour: Colour; because: string; since: string }
  | { type: 'way-back.remade'; colour: Colour; ms: number }
  /** Somebody has given up the writes that the rollback of this release has left in the other database. */
  | { type: 'loss.discarded'; release: string }
  /** What only the version that was left knows, kept aside in the database that is live again. */
  | ({ type: 'data.kept' } & Kept)
  /** What an earlier try of this version had left is in its tables again, but for the rows in `left`, which stay kept. */
  | {
      type: 'data.brought-back';
      sets: { relation: string; columns: string[]; rows: number; left: { rows: number; reason: string }[] }[];
    }
  | { type: 'traffic.set'; split: Split; by: 'engine' | 'balancer'; ms: number }
  | { type: 'traffic.observed'; from: number; to: number; colours: Record<Colour, ObservedTraffic>; split: Split }
  | { type: 'canary.step'; percent: number; verdict: Verdict; reason: string; observedPercent: number | undefined }
  | { type: 'cutover.step'; step: string; ms: number; detail?: string }
  | {
      type: 'cutover.done';
      direction: 'forward' | 'rollback';
      from: Colour;
      to: Colour;
      /** Absent, as `totalMs`, where the program was killed after the flip: `resume` finished the cutover, nobody measured it. */
      holdMs?: number;
      totalMs?: number;
      /** They moved in a read-only window: none was held. `refusedMs`: how long writes were answered 503; absent as `holdMs` is. */
      window?: { refusedMs?: number };
    }
  /** What stayed connected to a colour that was left. `streams`: event streams and other long answers. */
  | { type: 'connections.ended'; colour: Colour; webSockets: number; streams: number; ms: number }
  /**
   * From `from` on writes are refused: the read-only window. A second one, with the same `from`, says when that ended. Milliseconds since
   * the epoch, by the clock of this machine.
   */
  | { type: 'writes.refused'; from: number; to?: number }
  | { type: 'rollback.started'; reason: string; automatic: boolean }
  /** `loss` is missing in journals of versions that did not judge by what was compared: see `lossIn`. */
  | { type: 'rollback.done'; ms: number; loss?: Loss; detail: string }
  | {
      type: 'synthetic.ended';
      /** Runs of the traffic that this counts, all of the release: more than one after a resume. */
      runs: number;
      /** `refused`: writes that were refused as announced, which are not among the failed ones. Absent: none. */
      requests: { total: number; failed: number; refused?: number };
      writes: WriteLedger;
      perSecond: number;
      failures: string[];
    }
  | { type: 'alert.delivered'; alert: string; receiver: string; ms: number }
  | { type: 'announcement.sent'; to: string; text: string; ok: boolean }
  | { type: 'approval.given'; by: string; how: 'terminal' | '--yes' | 'auto'; note?: string }
  | { type: 'approval.refused'; by: string; reason: string }
  | { type: 'note'; level: 'info' | 'warning'; text: string };

/**
 * What the incompatible migrations did to the copy, which the read-only window is checked against, and how long on the copy took what
 * the window holds, ms.
 */
export interface WindowRehearsed extends MigrationChanges {
  /** The migrations, and the two looks that tell what they did. */
  ms: number;
  /** From the start of the new version until it was ready. */
  startMs: number;
  /** Comparing the database with the restored backup. Absent: nobody measured it. */
  compareMs?: number;
  /** Users cannot write for about so long: all of the window with its reserves. Absent where a part of it is not known. */
  expectedMs?: number;
}

/** What migrations did to a database, as far as another database of the same schema must show the same. */
export interface MigrationChanges {
  /** Major version of PostgreSQL: each writes definitions in its own way. */
  postgres: number;
  changes: ObjectChange[];
  /** Tables that were there before and after with another number of rows, by their names afterwards: fewer or more. */
  counts: Record<string, -1 | 1>;
}

/** An object of the catalog that came, went or is another one. */
export interface ObjectChange {
  kind: string;
  name: string;
  change: 'new' | 'gone' | 'other';
  /** Hash of the definition afterwards, and of that without the numbers in it. */
  exact: string;
  masked: string;
}

/** As it stands in the journal: numbered, dated, chained to the line before it. */
export type JournalEntry = Event & { seq: number; at: string; prev: string };

export type ReleaseVerdict = 'go' | 'no-go' | 'rolled-back' | 'failed' | 'aborted';

export const stageIds = [
  'preflight',
  'build',
  'staging',
  'backup',
  'prepare',
  'approval',
  'canary',
  'cutover',
  'bake',
  'cleanup',
] as const;
export type StageId = (typeof stageIds)[number];

export interface ObservedTraffic {
  requests: number;
  errors: number;
  writes: number;
  p50Ms: number | undefined;
  p95Ms: number | undefined;
  p99Ms: number | undefined;
}

export interface TableComparison {
  table: string;
  rows: { left: number; right: number };
  equal: boolean;
  /** The side that alone has this table: its rows cannot go along to the other one. */
  only?: 'left' | 'right';
  /** Columns that left alone has, where that is allowed (`common`): their values cannot go along either. */
  leftColumns?: string[];
  /** Why not, e.g. `3 rows only on blue`. */
  detail?: string;
}

/** What a restored copy has beside its rows, against its original, which may have been changed during the backup. */
export interface StructureComparison {
  /** Objects of the original's catalog that were compared. */
  objects: number;
  sequences: number;
  /** Sequences whose values say nothing: those that cycle, are unlogged, or were set back or changed during the backup. */
  sequencesLeftOut: number;
  /** What the copy does not have as it should, a text each. */
  different: string[];
  /** What could not be judged, a text each. */
  unknown: string[];
  indexes?: IndexCheck;
}

/** B-tree indexes of a restored copy whose content was read. */
export interface IndexCheck {
  checked: number;
  of: number;
  /** A text each, with the cure. */
  damaged: string[];
  /** Why not all were checked. */
  reason?: string;
}

export interface WriteLedger {
  acknowledged: number;
  lost: number;
  duplicated: number;
  /** Sent, no answer: may or may not be there, and must not be twice. */
  unknown: number;
  /** Of the acknowledged ones, those that incremented a row; absent where the traffic names no counter. */
  increments?: number;
  /** Increments that the rows lack, and that they have beyond all that were sent; absent where nobody looked. */
  incrementsLost?: number;
  incrementsDoubled?: number;
}

/** What a way back kept and did not keep of the data, as far as it was compared. */
export type Loss =
  /** Everything was compared, and all of it went back; or no write had been moved, and there was nothing to take back. */
  | { kind: 'none'; because: 'compared' | 'no write had moved' }
  /** All that both versions know went back; what only the version that was left knows stayed behind. */
  | ({ kind: 'left-behind' } & LeftBehind)
  /** The same, and that is kept aside until the version is tried again. */
  | ({ kind: 'kept-aside' } & LeftBehind)
  /** What both versions know is not the same in both databases. With `kept` the rest was kept aside. */
  | ({ kind: 'differs'; different: string[]; kept?: true; unfit?: UnfitRows[] } & LeftBehind)
  /** A person has accepted it: what was missing of the databases' common contents, by table; absent where nobody could compare. */
  | { kind: 'accepted'; because: string; lost?: string[] }
  | { kind: 'not-compared'; because: string };

/** What was kept aside at a way back. */
export interface Kept extends LeftBehind {
  unfit: UnfitRows[];
}

/** Rows of a table of both versions that the old schema cannot hold. */
export interface UnfitRows {
  table: string;
  rows: number;
}

/** What only the version that was left knows. */
export interface LeftBehind {
  tables: { table: string; rows: number }[];
  /** Columns of tables that both have: the values of so many rows, which may be no more than the columns' defaults. */
  columns: { table: string; columns: string[]; rows: number }[];
}
