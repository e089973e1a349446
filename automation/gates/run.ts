import { secrets, type Redactor } from '../../infra/lib/redact.ts';
import { openEvidence } from './evidence.ts';
import {
  absent,
  passes,
  stops,
  worstMeasured,
  type Findings,
  type Gate,
  type GateResult,
  type Measurement,
} from '../journal/verdict.ts';

export type { Gate } from '../journal/verdict.ts';

/** An accepted failure of a gate (`waivers` of the release definition). */
export interface Waiver {
  gate: string;
  reason: string;
  /** Who is responsible. */
  by: string;
  /** ISO date: valid to the end of that day, UTC. */
  expires: string;
}

export interface GateOptions {
  releaseDirectory: string;
  waivers?: readonly Waiver[];
  now?: Date;
  signal?: AbortSignal;
  /** False: the definition has no migrations, so a database without tables is as it should be. Default: true. */
  expectsTables?: boolean;
  /** Masks secrets in the evidence and in messages; default: all secrets registered in this process. */
  redactor?: Redactor;
}

/**
 * Runs one gate. An exception from `measure` becomes the verdict `error`. Rejects only if the evidence folder cannot be
 * made or read.
 */
export async function runGate(gate: Gate, options: GateOptions): Promise<GateResult> {
  const { releaseDirectory, waivers = [], now = new Date(), expectsTables = true, redactor = secrets } = options;
  const evidence = await openEvidence(releaseDirectory, gate.id, redactor);
  const started = performance.now();
  let findings: Findings;
  try {
    findings = await gate.measure({ evidence, signal: options.signal ?? new AbortController().signal });
  } catch (error) {
    findings = broken(error);
  }
  const ms = Math.round(performance.now() - started);
  const result = judge(gate, expectsTables ? findings : withoutTables(findings), waivers, now);
  const hidden = redactor.redactDeep(result);
  return { ...hidden, evidence: await evidence.seal(), ms, observationMs: Math.min(ms, findings.observationMs ?? 0) };
}

const withoutTables = (findings: Findings): Findings => ({
  ...findings,
  measurements: findings.measurements.map((measurement) =>
    measurement.noTable === undefined
      ? measurement
      : absent(
          measurement.name,
          measurement.wanted,
          'the database has no tables, and the definition has no migrations',
        ),
  ),
});

function broken(error: unknown): Findings {
  const message = error instanceof Error ? error.message : String(error);
  return {
    measurements: [
      {
        name: 'measurement',
        measured: 'broke',
        wanted: 'a measurement',
        verdict: 'error',
        note: message.replaceAll(/\s+/g, ' '),
      },
    ],
  };
}

/**
 * The worst measurement is the verdict; those that were not run count only where nothing was. A valid waiver turns `fail` and `inconclusive` into `waived`. `error` cannot be
 * waived: a broken measurement is not the accepted risk.
 */
export function judge(
  gate: Pick<Gate, 'id' | 'title'>,
  findings: Findings,
  waivers: readonly Waiver[],
  now: Date,
): Omit<GateResult, 'evidence' | 'ms' | 'observationMs'> {
  const { measurements } = findings;
  const verdict = worstMeasured(measurements.map((m) => m.verdict));
  const summary = stops(verdict) ? summarise(measurements) : (findings.summary ?? summarise(measurements));
  const result = { id: gate.id, title: gate.title, verdict, ...summary, measurements };
  if (verdict !== 'fail' && verdict !== 'inconclusive') return result;
  const mine = waivers.filter((w) => w.gate === gate.id);
  const valid = mine.find((w) => now.getTime() < Date.parse(w.expires) + 86_400_000);
  if (valid) {
    const waiver = { by: valid.by, reason: valid.reason, expires: valid.expires };
    return { ...result, verdict: 'waived', waiver };
  }
  const expired = mine[0];
  if (expired) result.measured += ` (the waiver of ${expired.by} ended on ${expired.expires})`;
  return result;
}

function summarise(measurements: Measurement[]): { measured: string; wanted: string } {
  const verdict = worstMeasured(measurements.map((m) => m.verdict));
  const first = measurements.find((m) => m.verdict === verdict);
  if (first === undefined) return { measured: 'nothing was measured', wanted: 'at least one measurement' };
  if (measurements.length === 1 || !passes(verdict)) {
    const more = measurements.filter((m) => (verdict === 'not-run' ? !passes(m.verdict) : stops(m.verdict))).length - 1;
    const others = more > 0 ? `, and ${more} more` : '';
    // The release's last line shows this summary. Of a broken measurement nothing but the reason is known.
    const why = verdict === 'error' && first.note !== undefined ? ` (${first.note})` : '';
    return { measured: `${first.name}: ${first.measured}${why}${others}`, wanted: first.wanted };
  }
  const notRun = measurements.filter((m) => m.verdict === 'not-run');
  const ran = measurements.length - notRun.length;
  const others = notRun.map((m) => `; ${m.name}: ${m.measured}`).join('');
  return { measured: `${ran} of ${ran} checks passed${others}`, wanted: 'every check' };
}
