import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { slowest } from './slowest.ts';

/**
 * Runs test files side by side, each in a process of its own with a home of its own, the slowest first. A process that ends
 * without saying why is a failed test. Nothing is tried twice. The last line is `N passed, N failed`.
 *
 *     node test/run.ts [--jobs N] [--minutes N] [--results <directory>] <glob>...
 */

const root = join(import.meta.dirname, '..');
const { values: options, positionals: globs } = parseArgs({
  options: {
    // Most tests wait for servers half of their time.
    jobs: { type: 'string', default: String(2 * availableParallelism()) },
    /** The longest that one file may take. */
    minutes: { type: 'string', default: '20' },
    results: { type: 'string' },
  },
  allowPositionals: true,
});

const longestMs = Number(options.minutes) * 60_000;
/** Lines of what a process printed that are shown where it ended badly. */
const tailLines = 40;

interface Job {
  name: string;
  files: string[];
}
interface Result {
  /** `ended`: of all of them, the last line of a process. */
  state: 'passed' | 'failed' | 'skipped' | 'ended';
  title: string;
  file?: string;
  error?: string;
}

/** Unit tests start no server: most of their time is loading what they share, so a few processes take all of them. */
function jobsOf(files: string[]): Job[] {
  const alone = files.filter((file) => !file.startsWith('test/unit/'));
  const unit = Object.entries(
    Object.groupBy(
      files.filter((file) => !alone.includes(file)),
      unitOf,
    ),
  );
  const place = (file: string) => (slowest.includes(file) ? slowest.indexOf(file) : slowest.length);
  return [
    ...alone.toSorted((a, b) => place(a) - place(b)).map((file) => ({ name: file, files: [file] })),
    ...unit.map(([name, of = []]) => ({ name, files: of })),
  ];
}

const unitOf = (file: string) => `test/unit/${file.split('/')[2]}`;

const work = mkdtempSync(join(tmpdir(), 'greenlight-tests-'));
const templates = join(work, 'templates');
mkdirSync(templates);
// The server's user has to get through to its data.
for (const directory of [work, templates]) chmodSync(directory, 0o755);
const results = options.results ?? join(work, 'results');
mkdirSync(results, { recursive: true });
const all = join(results, 'tests.jsonl');
writeFileSync(all, '');

/** With the file that each writes its results to. */
const running = new Map<ChildProcess, string>();
const end = (child: ChildProcess) => {
  try {
    process.kill(-(child.pid as number), 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
};
process.on('exit', () => {
  for (const [child, output] of running) {
    end(child);
    keep(read(output));
  }
  rmSync(work, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

const environment = (home: string) => ({
  ...process.env,
  GREENLIGHT_HOME: home,
  GREENLIGHT_TEST_TEMPLATES: templates,
  // Of this run, for all of its files: they must not take each other's ports.
  XDG_STATE_HOME: join(work, 'state'),
  // What is covered is counted wrongly in code that comes from a cache.
  ...(process.env['NODE_V8_COVERAGE'] ? {} : { NODE_COMPILE_CACHE: join(root, '.greenlight', 'compile-cache') }),
});

async function run({ name, files }: Job): Promise<Result[]> {
  const place = join(work, name.replaceAll('/', '.'));
  mkdirSync(join(place, 'home'), { recursive: true, mode: 0o700 });
  const output = join(place, 'results.jsonl');
  const log: Buffer[] = [];
  const child = spawn(
    process.execPath,
    [
      join(root, 'node_modules/mocha/bin/mocha.js'),
      ...['--no-config', '--extension', 'ts', '--forbid-only', '--timeout', '120000'],
      ...['--reporter', join(root, '.ci/reporter.mjs'), '--reporter-option', `output=${output}`],
      ...files,
    ],
    { cwd: root, env: environment(join(place, 'home')), detached: true, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  running.set(child, output);
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => log.push(part));
  const timer = setTimeout(() => end(child), longestMs);
  // Not `close`: what a test has left may hold the pipe.
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  clearTimeout(timer);
  running.delete(child);
  const found = read(output);
  const whole = found.at(-1)?.state === 'ended' && found.length > 1;
  const told = found.filter(({ state }) => state !== 'ended');
  const failed = told.some(({ state }) => state === 'failed');
  if (!whole || signal !== null || (code !== 0 && !failed)) {
    const how = `it ended with ${signal ?? `exit code ${code}`}, after ${told.length} results`;
    const said = Buffer.concat(log).toString().trimEnd().split('\n').slice(-tailLines);
    told.push({ state: 'failed', title: name, file: resolve(root, name), error: [how, ...said].join('\n') });
  }
  return told;
}

/** One result per line; of a process that was killed the last one may be cut off. */
function read(file: string): Result[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Result);
}

const keep = (found: Result[]): void =>
  appendFileSync(all, found.map((result) => `${JSON.stringify(result)}\n`).join(''));

const counts = { passed: 0, failed: 0, skipped: 0, ended: 0 };
const files = globSync(globs, { cwd: root }).toSorted();
const queue = jobsOf(files);
const gone = slowest.filter((file) => !existsSync(join(root, file)));
if (files.length === 0 || gone.length > 0) {
  console.error(files.length === 0 ? `no file is ${globs.join(' or ')}` : `slowest.ts names ${gone.join(', ')}`);
  process.exit(1);
}
const worker = async (): Promise<void> => {
  for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
    const started = Date.now();
    const found = await run(job);
    keep(found);
    for (const { state } of found) counts[state] += 1;
    const failed = found.filter(({ state }) => state === 'failed');
    const seconds = String(Math.round((Date.now() - started) / 1000)).padStart(5);
    console.log(`${failed.length === 0 ? 'ok    ' : 'FAILED'}${seconds} s  ${job.name}`);
    for (const { title, error = '' } of failed) console.log(`  ${title}\n${error.replaceAll(/^/gm, '    ')}`);
  }
};
await Promise.all(Array.from({ length: Number(options.jobs) }, worker));
if (counts.skipped > 0) console.log(`${counts.skipped} were skipped; they count as neither.`);
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = counts.failed === 0 && counts.passed > 0 ? 0 : 1;
