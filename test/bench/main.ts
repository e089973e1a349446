import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { packageRoot } from '../../infra/lib/paths.ts';
import { comparison, growth } from './comparison.ts';
import { measure, shown, type Benchmark, type Result } from './frame.ts';
import { hold } from './hold.ts';
import { masking } from './masking.ts';
import { restore } from './restore.ts';
import { seed } from './seed.ts';

/** `npm run bench`: measures, beside what people use otherwise. No part of CI. BENCHMARKS.md says how to read it. */
const benchmarks: readonly Benchmark[] = [comparison, growth, restore, seed, masking, hold];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    scale: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '5' },
  },
});
const [scale, rounds] = [Number(values.scale), Number(values.rounds)];
const unknown = positionals.filter((name) => !benchmarks.some((one) => one.name === name));
if (unknown.length > 0 || !(scale > 0) || !Number.isInteger(rounds) || rounds < 1) {
  console.error(
    `usage: npm run bench -- [${benchmarks.map(({ name }) => name).join('|')}]... [--scale 0.1] [--rounds 5]`,
  );
  process.exit(1);
}

const directory = join(packageRoot, '.greenlight', 'bench');
mkdirSync(directory, { recursive: true });
for (const benchmark of benchmarks.filter(({ name }) => positionals.length === 0 || positionals.includes(name))) {
  console.log(`${benchmark.name}: ${benchmark.title}`);
  const result = await measure(benchmark, scale, rounds);
  const file = join(directory, `${benchmark.name}-${result.at.replaceAll(/[:.]/g, '')}.json`);
  writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
  console.log(`${table(result)}\n  ${file}\n`);
}

function table({ about, machine, scale: size, outcomes, ratio, wanted, limits }: Result): string {
  const widest = Math.max(...outcomes.map(({ contender }) => contender.length));
  const lines = outcomes.flatMap(({ contender, absent, medians, details, rounds: all }) => {
    const of = details === undefined ? `median of ${all.length}` : `over ${all.length} rounds`;
    return [
      `  ${contender.padEnd(widest)}  ${absent ?? `${shown(medians)}  (${of})`}`,
      ...Object.entries(details ?? {}).map(([name, figures]) => `    ${name}: ${shown(figures)}`),
    ];
  });
  const judged =
    ratio === undefined
      ? []
      : [`  ${ratio.toFixed(2)} times as fast as the best peer${wanted === undefined ? '' : `; wanted: ${wanted}`}`];
  const most = limits === undefined ? [] : [`  wanted: at most ${shown(limits)}`];
  const place = `  ${about}, scale ${size}; ${machine.cores} cores (load ${machine.load.toFixed(1)} at the end), ${machine.memoryGB} GB, ${machine.postgresql}`;
  return [...lines, ...judged, ...most, place].join('\n');
}
