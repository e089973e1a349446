import { mkdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import https from 'node:https';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect } from 'chai';
import { runGate } from '../../../../../automation/gates/run.ts';
import { testsGate, type TestsGate } from '../../../../../automation/gates/tests/tests.ts';
import type { Jobs } from '../../../../../infra/platform/jobs.ts';
import { certificate, closeAll, scratchDirectory, serve } from '../gate-harness.ts';

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
    change: Partial<Pick<TestsGate, 'command' | 'timeoutMs' | 'env' | 'format' | 'through'>> = {},
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
      ...(change.format === undefined ? {} : { format: change.format }),
      ...(change.through === undefined ? {} : { through: change.through }),
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

  const node = (...args: string[]) => [process.execPath, ...args];

  it('goes by the exit code alone where the command writes no results, and says so', async () => {
    const good = await run('', { command: node('-e', '') });
    expect([good.verdict, good.measured]).to.deep.equal(['pass', 'exit code 0; how many tests ran is not known']);
    expect(good.measurements[0]?.measured).to.contain('not known');
    const bad = await run('', { command: node('-e', 'console.log("1 failing"); process.exit(1)') });
    expect([bad.verdict, bad.measured]).to.deep.equal(['fail', 'test command: exit code 1']);
    expect(bad.measurements[0]?.note).to.contain('1 failing');
  });

  it("reads TAP of Node's own runner", async () => {
    const command = node('--test', '--test-reporter=tap', 'a.test.mjs');
    const tests = `test('adds', async (t) => { await t.test('inner', () => assert.equal(2, 2)); }); test.skip('later', () => {});`;
    const good = await run(tests, { command, format: 'tap' });
    expect(good.measurements.map(({ measured }) => measured)).to.deep.equal(['exit code 0', '1 (1 skipped)', '0']);
    const bad = await run(`test('adds', () => assert.equal(1, 2));`, { command, format: 'tap' });
    expect(bad.verdict).to.equal('fail');
    expect(bad.measurements.at(-1)?.note).to.equal('adds');
    const none = await run('', { command: node('-e', 'console.log("fine")'), format: 'tap' });
    expect(none.verdict).to.equal('inconclusive');
  });

  it('reads every file where the results are a directory', async () => {
    const script = `const fs = require('fs'); const to = process.argv[1]; fs.mkdirSync(to + '/deep', { recursive: true });
      fs.writeFileSync(to + '/TEST-a.xml', '<testsuite name="a"><testcase name="x"/></testsuite>');
      fs.writeFileSync(to + '/deep/TEST-b.xml', '<testsuite name="b"><testcase name="y"/></testsuite>');
      fs.writeFileSync(to + '/notes.txt', 'no XML');`;
    const result = await run('', { command: node('-e', script, '{results}') });
    expect([result.verdict, result.measured]).to.deep.equal(['pass', '2 tests passed']);
  });

  it('gives tests that know nothing of headers and certificates an address that needs neither', async () => {
    const open: Server[] = [];
    const seen: unknown[] = [];
    const { key, cert } = await certificate(directory, 'entry');
    const server = https.createServer({ key: await readFile(key), cert: await readFile(cert) }, (request, response) => {
      seen.push(request.headers['x-route']);
      response.end('ok');
    });
    try {
      const baseUrl = `https://localhost:${await serve(server, open)}`;
      const command = node(
        '-e',
        `fetch(process.env.BASE_URL + '/x').then((answer) => process.exit(answer.ok && process.env.ROUTE_HEADERS === undefined ? 0 : 1))`,
      );
      const through = { baseUrl, caFile: cert, routeHeaders: { 'x-route': 'secret-route' } };
      expect((await run('', { command, through })).verdict).to.equal('pass');
      expect(seen).to.deep.equal(['secret-route']);
    } finally {
      await closeAll(open);
    }
  });
});
