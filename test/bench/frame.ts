import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';

/**
 * A benchmark: what this project does, and beside it what people use otherwise, on the same machine, in turns, in one run. A new one
 * is a file here and a line in `main.ts`.
 */
export interface Benchmark {
  name: string;
  title: string;
  /** How many times as fast as the best peer it has to be; absent where there is no peer. */
  wanted?: number;
  /** The most that our figures may be, by name. */
  limits?: Figures;
  /** Makes what all contenders work on. `scale` 1 is the size that the figure is about. */
  prepare(scale: number): Promise<Prepared>;
}

export interface Prepared {
  /** What was made: `1.02 GB in 3 tables`. */
  about: string;
  /** Ours first. */
  contenders: Contender[];
  /** False: the contenders are cases of ours, and nothing is a peer. */
  peers?: boolean;
  dispose(): Promise<void>;
}

export interface Contender {
  name: string;
  /** Why it cannot run here, as a program that is not installed. It is then skipped by name. */
  absent?: string | undefined;
  /** Another way of ours, so no peer. */
  own?: boolean;
  /** Makes ready for a run. Not measured. */
  before?(): Promise<void>;
  /** One run. Resolves to its figures; the first one is compared, and less is better. */
  run(): Promise<Figures>;
  /** Puts back what a run changed. Not measured. */
  after?(): Promise<void>;
  /** What stands for all rounds in place of the medians, as quantiles do that need every sample. */
  total?(): Total;
}

export interface Total {
  figures: Figures;
  /** What explains the figures, by name. */
  details: Record<string, Figures>;
}

/** Numbers by name and unit: `{ s: 4.2, 'peak MB': 180 }`. */
export type Figures = Record<string, number>;

export interface Outcome {
  contender: string;
  absent?: string | undefined;
  /** Figures of each round. */
  rounds: Figures[];
  /** Medians over the rounds, or the contender's total. */
  medians: Figures;
  /** Of its total. */
  details?: Record<string, Figures>;
}

export interface Result {
  benchmark: string;
  title: string;
  at: string;
  machine: { processor: string; cores: number; memoryGB: number; postgresql: string; load: number };
  scale: number;
  about: string;
  outcomes: Outcome[];
  wanted?: number;
  limits?: Figures;
  /** Median of the best peer, divided by ours; absent if no peer could run. */
  ratio?: number;
}

/** Runs all contenders in turns. Each round begins with another one, so that none always has the warmest machine. */
export async function measure(benchmark: Benchmark, scale: number, rounds: number): Promise<Result> {
  const at = new Date().toISOString();
  const prepared = await benchmark.prepare(scale);
  try {
    const { contenders, about, peers = true } = prepared;
    const able = contenders.filter(({ absent }) => absent === undefined);
    const figures = new Map<string, Figures[]>(contenders.map(({ name }) => [name, []]));
    for (let round = 0; round < rounds; round++) {
      for (let turn = 0; turn < able.length; turn++) {
        const contender = able[(round + turn) % able.length] as Contender;
        await contender.before?.();
        const found = await contender.run();
        await contender.after?.();
        figures.get(contender.name)?.push(found);
        console.log(`  round ${round + 1}: ${contender.name}: ${shown(found)}`);
      }
    }
    const outcomes = contenders.map((contender): Outcome => {
      const { name, absent } = contender;
      const rounds = figures.get(name) ?? [];
      if (absent !== undefined) return { contender: name, absent, rounds, medians: {} };
      const total = contender.total?.();
      return total === undefined
        ? { contender: name, rounds, medians: medians(rounds) }
        : { contender: name, rounds, medians: total.figures, details: total.details };
    });
    const { name: benchmarkName, title, wanted, limits } = benchmark;
    const ratio = peers ? ratioOf(outcomes.filter((_, i) => i === 0 || contenders[i]?.own !== true)) : undefined;
    return {
      ...{ benchmark: benchmarkName, title, at, machine: machine(), scale, about, outcomes },
      ...(wanted === undefined ? {} : { wanted }),
      ...(limits === undefined ? {} : { limits }),
      ...(ratio === undefined ? {} : { ratio }),
    };
  } finally {
    await prepared.dispose();
  }
}

/** Runs `work` and resolves to how long it took, s. */
export async function timed(work: () => Promise<unknown>): Promise<{ s: number }> {
  const started = performance.now();
  await work();
  return { s: (performance.now() - started) / 1000 };
}

export function medians(all: readonly Figures[]): Figures {
  const names = Object.keys(all[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, median(all.map((figures) => figures[name] ?? NaN))]));
}

/** The value that `share` of all do not exceed (nearest rank): 0.99 of fewer than 100 is the largest. NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? NaN)
    : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

/** By the first figure. */
export function ratioOf([ours, ...peers]: readonly Pick<Outcome, 'medians'>[]): number | undefined {
  const first = ({ medians: figures }: Pick<Outcome, 'medians'>): number | undefined => Object.values(figures)[0];
  const mine = ours === undefined ? undefined : first(ours);
  const best = Math.min(...peers.map(first).filter((value) => value !== undefined));
  return mine === undefined || !Number.isFinite(best) ? undefined : best / mine;
}

export const shown = (figures: Figures): string =>
  Object.entries(figures)
    .map(([name, value]) => `${value.toFixed(value < 10 ? 2 : 1)} ${name}`)
    .join(', ');

const machine = (): Result['machine'] => ({
  processor: cpus()[0]?.model ?? '',
  cores: availableParallelism(),
  memoryGB: Math.round(totalmem() / 1e9),
  postgresql: execFileSync('pg_config', ['--version'], { encoding: 'utf8' }).trim(),
  load: loadavg()[0] ?? 0,
});
