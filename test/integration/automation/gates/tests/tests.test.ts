import { mkdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect } from 'chai';
import { runGate } from '../../../../../automation/gates/run.ts';
import { testsGate } from '../../../../../automation/gates/tests/tests.ts';
import type { Jobs } from '../../../../../infra/platform/jobs.ts';
import { scratchDirectory } from '../gate-harness.ts';

/** Runs a job as a plain process here: the platforms' own jobs have tests of their own. */
const jobs: Jobs = {
  async run({ artefact, command, env, timeoutMs, results = '', log }) {
    const [program = '', ...args] = command.map((part) => part.replaceAll('{results}', results));
    const started = performance.now();
    const options = {
      cwd: artefact.location,
      env,
      timeout: timeoutMs,
      reject: false,
      all: true,
      stdin: 'ignore',
    } as const;
    const { exitCode, timedOut, all } = await execa(program, args, options);
    await writeFile(log, all);
    return { exitCode, timedOut, ms: performance.now() - started, tail: all };
  },
};

describe('the gate of tests with a real test runner', () => {
  const directory = scratchDirectory();
  let artefacts = 0;

  /** A version with one file of tests, run by Node's own runner. */
  async function run(
    tests: string,
    change: { command?: string[]; timeoutMs?: number; env?: Record<string, string> } = {},
  ) {
    const location = join(directory, `artefact-${artefacts++}`);
    mkdirSync(location);
    await writeFile(
      join(location, 'a.test.mjs'),
      `import test from 'node:test'; import assert from 'node:assert';\n${tests}`,
    );
    const gate = testsGate({
      id: 'unit-tests',
      title: 'Unit tests',
      jobs,
      artefact: { version: '1.0.0', digest: 'sha256:0', location },
      command: change.command ?? [
        process.execPath,
        '--test',
        '--test-reporter=junit',
        '--test-reporter-destination={results}',
        'a.test.mjs',
      ],
      env: change.env ?? {},
      timeoutMs: change.timeoutMs ?? 20_000,
    });
    return runGate(gate, { releaseDirectory: directory });
  }

  it('passes, and keeps results and log', async () => {
    const result = await run("test('adds', () => assert.equal(1 + 1, 2));");
    expect(result.verdict).to.equal('pass');
    expect(result.measured).to.equal('1 tests passed');
    expect(result.evidence).to.have.length(2);
    expect(await readFile(join(directory, result.evidence[0] ?? ''), 'utf8')).to.contain('adds');
  });

  it('fails, and names the failing test', async () => {
    const result = await run("test('adds', () => assert.equal(1 + 1, 3)); test('other', () => {});");
    expect(result.verdict).to.equal('fail');
    expect(result.measurements.at(-1)?.note).to.contain('adds');
  });

  it('keeps what the tests got in confidence out of the evidence', async () => {
    const env = {
      DATABASE_URL: 'postgres://app:quite%20secret@localhost/x',
      ROUTE_HEADERS: '{"x-greenlight-secret":"route-secret-1"}',
    };
    const tests = "test('prints', () => assert.fail(process.env.DATABASE_URL + process.env.ROUTE_HEADERS));";
    const result = await run(tests, { env });
    const files = await Promise.all(result.evidence.map((file) => readFile(join(directory, file), 'utf8')));
    const everything = files.join() + JSON.stringify(result);
    expect(everything).to.contain('prints');
    expect(everything).to.not.contain('route-secret-1').and.not.contain('quite%20secret');
  });

  it('is inconclusive when every test is skipped', async () => {
    expect((await run("test.skip('adds', () => {});")).verdict).to.equal('inconclusive');
  });

  it('is inconclusive when the command writes no results', async () => {
    expect((await run('', { command: [process.execPath, '--version'] })).verdict).to.equal('inconclusive');
  });

  it('is an error when the tests hang', async () => {
    const result = await run("test('hangs', () => new Promise((r) => setTimeout(r, 60_000)));", { timeoutMs: 1500 });
    expect(result.verdict).to.equal('error');
    expect(result.measurements[0]?.measured).to.equal('timed out');
  });
});
