/**
 * A gate measures; a pure function judges; the worst measurement wins. Missing or thin data is `inconclusive`,
 * a measurement that broke is `error`: neither is ever a pass.
 */
export const verdicts = ['pass', 'waived', 'not-run', 'inconclusive', 'error', 'fail'] as const;
/** From best to worst, in the order of `verdicts`. */
export type Verdict = (typeof verdicts)[number];

export interface Measurement {
  /** What was measured, e.g. `p95 of GET /api/lessons`. */
  name: string;
  /** With its unit, for a person: `143 ms`. */
  measured: string;
  /** With its unit: `<= 300 ms`. */
  wanted: string;
  verdict: Verdict;
  /** One sentence where the verdict is not `pass`: why, and what to do. */
  note?: string;
  /**
   * It says only that the database has no table. Where the definition has no migrations, and so expects none, it is `not-run` and not
   * `inconclusive`.
   */
  noTable?: true;
}

export interface GateResult {
  /** Stable, in kebab-case: `load`, `security-scan`. */
  id: string;
  title: string;
  verdict: Verdict;
  /** The worst measurement, or a summary, for the checklist. */
  measured: string;
  wanted: string;
  measurements: Measurement[];
  /** Paths relative to the release's directory. */
  evidence: string[];
  ms: number;
  /** Of `ms`, what was configured observation, load or scan time. */
  observationMs: number;
  waiver?: { by: string; reason: string; expires: string };
}

/** The worst of some verdicts; nothing at all is `inconclusive`. */
export function worst(all: readonly Verdict[]): Verdict {
  if (all.length === 0) return 'inconclusive';
  return all.reduce((a, b) => (verdicts.indexOf(b) > verdicts.indexOf(a) ? b : a));
}

/** Whether something is proven, or its lack was accepted. */
export const passes = (verdict: Verdict): boolean => verdict === 'pass' || verdict === 'waived';

/** Whether a gate with this verdict stops a release. One for which the definition has nothing does not, and proves nothing. */
export const stops = (verdict: Verdict): boolean => !passes(verdict) && verdict !== 'not-run';

/** The worst verdict of what was measured: a part that was not run counts only where nothing was. */
export function worstMeasured(all: readonly Verdict[]): Verdict {
  const measured = all.filter((verdict) => verdict !== 'not-run');
  return worst(measured.length === 0 ? all : measured);
}

/** What a gate found out. An exception from `measure` is the verdict `error`. */
export interface Findings {
  measurements: Measurement[];
  /** One line for the checklist; left out: the worst measurement speaks. */
  summary?: { measured: string; wanted: string };
  /** Milliseconds of the whole that were configured observation, load or scan time. */
  observationMs?: number;
}

/** What a gate gets for one run. */
export interface GateRun {
  evidence: EvidenceFolder;
  signal: AbortSignal;
}

/** A folder of the release for one run of a gate. Secrets that were named when it was opened never stay in it. */
export interface EvidenceFolder {
  /** Absolute path for a tool to write to; listed as evidence if the file is there in the end. */
  file(name: string): string;
  write(name: string, content: string): Promise<void>;
}

/** One gate: made by a factory that takes only what it needs, run by `runGate`. */
export interface Gate {
  readonly id: string;
  readonly title: string;
  measure(run: GateRun): Promise<Findings>;
}

/** The measurement of something that is wanted and can be had or not: one line per check, in every gate. */
export function check(name: string, wanted: string, measured: string, ok: boolean, note?: string): Measurement {
  return { name, measured, wanted, verdict: ok ? 'pass' : 'fail', ...(ok || note === undefined ? {} : { note }) };
}

/** A measurement that is not made, as the definition has nothing for it. `why` is a clause: "the definition has no unit tests". */
export const absent = (name: string, wanted: string, why: string): Measurement => ({
  name,
  measured: `not run: ${why}`,
  wanted,
  verdict: 'not-run',
});

/** A gate for which the definition has nothing: it is `not-run`, stops nothing and proves nothing. `why` as in `absent`. */
export const absentGate = (id: string, title: string, why: string): Gate => ({
  id,
  title,
  measure: () => Promise.resolve({ measurements: [absent(title, '', why)], summary: { measured: why, wanted: '' } }),
});
