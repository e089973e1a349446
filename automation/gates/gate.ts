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

/** Whether a release may go on past this verdict. */
export const passes = (verdict: Verdict): boolean => verdict === 'pass' || verdict === 'waived';
