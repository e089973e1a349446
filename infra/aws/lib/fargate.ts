const steps = (from: number, to: number, step: number): number[] =>
  Array.from({ length: (to - from) / step + 1 }, (_, index) => from + index * step);

/**
 * Memory that Fargate offers for Linux, MiB, by CPU units:
 * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html
 */
const memoryOf = new Map([
  [256, [512, 1024, 2048]],
  [512, steps(1024, 4096, 1024)],
  [1024, steps(2048, 8192, 1024)],
  [2048, steps(4096, 16_384, 1024)],
  [4096, steps(8192, 30_720, 1024)],
  [8192, steps(16_384, 61_440, 4096)],
  [16_384, steps(32_768, 122_880, 8192)],
]);

/** What is wrong with a pair of CPU and memory, and with which of them. Undefined if Fargate offers the pair. */
export function notOffered(cpu: number, memory: number): { at: 'cpu' | 'memory'; message: string } | undefined {
  const offered = memoryOf.get(cpu);
  if (offered === undefined) return { at: 'cpu', message: `Fargate offers ${[...memoryOf.keys()].join(', ')}` };
  if (offered.includes(memory)) return undefined;
  const [first = 0, second = 0] = offered;
  const list = offered.length <= 4 ? offered.join(', ') : `${first} to ${offered.at(-1)} in steps of ${second - first}`;
  return { at: 'memory', message: `with cpu ${cpu} Fargate offers ${list}` };
}
