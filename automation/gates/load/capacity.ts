import { check, type Gate, type Measurement, passes, worst } from '../../journal/verdict.ts';
import { runK6, type LoadNumbers } from './k6.ts';
import {
  judgeLoad,
  milliseconds,
  pathsThatAnswer,
  ofSegments,
  percent,
  type LoadGate,
  type LoadThresholds,
} from './load.ts';

export interface CapacityGate extends Omit<LoadGate, 'durationSeconds' | 'metrics'> {
  /** Capacity wanted, as a multiple of the expected peak. */
  growth: number;
  stepSeconds: number;
}

/** One point of the capacity curve. */
export interface CapacityStep {
  /** Multiple of the expected peak. */
  factor: number;
  requestsPerSecond: number;
  numbers: LoadNumbers;
  met: boolean;
  /** The load sent was not the load asked for, or is unknown. Such a step says nothing about the capacity. */
  inconclusive?: true;
}

/** Multiples of the wanted growth that are tried. Those above 1 measure the headroom. */
const beyond = [1, 1.5, 2];

/**
 * Raises the load in steps until a step does not meet the thresholds, and judges the headroom over the expected peak.
 */
export function capacityGate(options: CapacityGate): Gate {
  return {
    id: 'capacity',
    title: 'Capacity for growth',
    async measure({ evidence, signal }) {
      const { growth, stepSeconds, requestsPerSecond, thresholds } = options;
      const { paths, leftOut, measurements: asked } = await pathsThatAnswer(options);
      if (paths?.length === 0) return { measurements: asked };
      const steps: CapacityStep[] = [];
      let first: Measurement[] = [];
      for (const factor of beyond.map((b) => b * growth)) {
        const rate = Math.ceil(requestsPerSecond * factor);
        const name = `${rate}-per-second`;
        const numbers = await runK6({
          ...options,
          paths,
          requestsPerSecond: rate,
          durationSeconds: stepSeconds,
          signal,
          summaryFile: evidence.file(`${name}.json`),
          logFile: evidence.file(`${name}.log`),
        });
        const judged = judgeLoad(numbers, { requestsPerSecond: rate, durationSeconds: stepSeconds }, thresholds);
        if (steps.length === 0) first = judged;
        const verdict = worst(judged.map((m) => m.verdict));
        const met = passes(verdict);
        const unknown = verdict === 'inconclusive' ? ({ inconclusive: true } as const) : {};
        steps.push({ factor, requestsPerSecond: rate, numbers, met, ...unknown });
        if (!met) break;
      }
      await evidence.write('curve.json', JSON.stringify(steps, undefined, 2));
      const measurements = [
        ...judgeCapacity(steps, growth, thresholds),
        ...asked,
        ...first.filter((m) => !passes(m.verdict)),
      ];
      const observationMs = steps.length * stepSeconds * 1000;
      const headroom = measurements[0];
      return {
        measurements,
        observationMs,
        ...(headroom
          ? {
              summary: {
                measured: `${headroom.measured}${ofSegments(steps[0]?.numbers)}${leftOut}`,
                wanted: headroom.wanted,
              },
            }
          : {}),
      };
    },
  };
}

/** Judges a capacity curve: the highest step that met the thresholds has to be at least `growth`. */
export function judgeCapacity(steps: CapacityStep[], growth: number, thresholds: LoadThresholds): Measurement[] {
  const wanted = `>= ${growth} x the expected peak`;
  if (steps.length === 0) return [{ name: 'headroom', measured: 'no step', wanted, verdict: 'inconclusive' }];
  const best = steps.filter((step) => step.met).at(-1);
  const limit = steps.find((step) => !step.met);
  const edge =
    limit === undefined
      ? ', edge not reached'
      : limit.inconclusive
        ? `, inconclusive at ${limit.requestsPerSecond} requests/s`
        : `, edge below ${limit.requestsPerSecond} requests/s`;
  const measured =
    best === undefined
      ? `${limit?.inconclusive ? 'unknown' : `less than ${growth} x`}${edge}`
      : `${best.factor} x (${best.requestsPerSecond} requests/s)${edge}`;
  const at = limit ?? steps.at(-1);
  const note = `At ${at?.requestsPerSecond} requests/s${ofSegments(at?.numbers)}: p95 ${milliseconds(at?.numbers.p95Ms)} (limit ${thresholds.p95Ms} ms), errors ${percent(at?.numbers.errorRate)}.`;
  if (best === undefined && limit?.inconclusive) {
    const why = 'The load sent was not the load asked for: see its measurements.';
    return [{ name: 'headroom', measured, wanted, verdict: 'inconclusive', note: `${note} ${why}` }];
  }
  return [
    check(
      'headroom',
      wanted,
      measured,
      (best?.factor ?? 0) >= growth,
      `${note} Add instances, or remove the bottleneck that the load test names.`,
    ),
  ];
}
