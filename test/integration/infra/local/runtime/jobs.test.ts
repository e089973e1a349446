import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OperationError } from '../../../../../infra/lib/errors.ts';
import { createLocalJobs } from '../../../../../infra/local/runtime/jobs.ts';
import type { Job } from '../../../../../infra/platform/jobs.ts';
import { jobsContract } from '../../../../contract/jobs.ts';
import { rejection } from '../postgres/environment.ts';

async function openFolder() {
  const folder = await mkdtemp(join(tmpdir(), `greenlight it's "ü" `));
  const location = join(folder, 'artefact');
  await mkdir(location);
  await writeFile(join(location, 'marker.txt'), 'artefact');
  const artefact = { version: '1.0.0', digest: `sha256:${'0'.repeat(64)}`, location };
  return { folder, artefact, close: () => rm(folder, { recursive: true, force: true }) };
}

jobsContract('local', async () => ({ jobs: createLocalJobs(), ...(await openFolder()) }));

describe('a local job', () => {
  let opened: Awaited<ReturnType<typeof openFolder>>;
  before(async () => {
    opened = await openFolder();
  });
  after(() => opened.close());
  const jobs = createLocalJobs({ redact: (text) => text.replaceAll('hunter2', '[redacted]') });
  const job = (command: string[], more: Partial<Job> = {}): Job => ({
    name: 'job',
    artefact: opened.artefact,
    command,
    env: {},
    timeoutMs: 20_000,
    log: join(opened.folder, 'logs', 'job.log'),
    ...more,
  });
  const node = (script: string, more: Partial<Job> = {}): Job => job(['node', '-e', script], more);
  const log = () => readFile(job([]).log, 'utf8');

  const alive = (pid: number): boolean => {
    try {
      process.kill(pid, 0);
      // One that ended and is not yet collected by its new parent counts as gone.
      return !execFileSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).startsWith('Z');
    } catch {
      return false;
    }
  };
  /** A shell that ignores SIGTERM, with a child that does so too; both write their ids to `pids`. */
  const stubborn = (): string[] => {
    const pids = join(opened.folder, 'pids');
    return [
      'sh',
      '-c',
      `trap '' TERM; (sh -c 'trap "" TERM; echo $$ >> "$0"; while :; do sleep 1; done' "$0") & echo $$ >> "$0"; while :; do sleep 1; done`,
      pids,
    ];
  };
  async function pidsOfStubborn(): Promise<number[]> {
    for (;;) {
      const pids = (await readFile(join(opened.folder, 'pids'), 'utf8').catch(() => '')).split('\n').filter(Boolean);
      if (pids.length === 2) return pids.map(Number);
      await sleep(20);
    }
  }
  afterEach(() => rm(join(opened.folder, 'pids'), { force: true }));

  it('takes its children and theirs along when its time is over, even those that ignore SIGTERM', async () => {
    const result = await jobs.run(job(stubborn(), { timeoutMs: 500 }));
    expect(result.timedOut).to.be.true;
    const pids = await pidsOfStubborn();
    expect(pids.map(alive)).to.deep.equal([false, false]);
    expect(await log()).to.contain('was stopped after 500 ms');
  });

  it('leaves no child behind when it ends by itself', async () => {
    const result = await jobs.run(job(['sh', '-c', 'sleep 100 & echo $!']));
    expect(result.exitCode).to.equal(0);
    // A signal is on its way when `kill` returns. The child by itself would live for 100 s.
    for (const until = Date.now() + 20_000; alive(Number(result.tail)) && Date.now() < until;) await sleep(20);
    expect(alive(Number(result.tail))).to.be.false;
  });

  it('is not waited for because of a daemon that keeps its output open', async () => {
    const script =
      "const c = require('child_process').spawn('sleep', ['100'], { detached: true, stdio: 'inherit' }); console.log(c.pid); c.unref()";
    const result = await jobs.run(node(script));
    expect(result.exitCode).to.equal(0);
    const daemon = Number(result.tail);
    expect(alive(daemon)).to.be.true;
    process.kill(daemon, 'SIGKILL');
  });

  it('rejects when it is aborted, and is gone then', async () => {
    const controller = new AbortController();
    const running = rejection(jobs.run(job(stubborn(), { signal: controller.signal })));
    const pids = await pidsOfStubborn();
    controller.abort();
    expect((await running).message).to.contain('it was aborted');
    expect(pids.map(alive)).to.deep.equal([false, false]);
    expect((await rejection(jobs.run(node('', { signal: controller.signal })))).message).to.contain('it was aborted');
  });

  it('ends with the program that runs it, even when that is killed', async function () {
    if (process.platform !== 'linux') this.skip();
    const pidFile = join(opened.folder, 'pids');
    const program = `
      import { createLocalJobs } from ${JSON.stringify(new URL('../../../../../infra/local/runtime/jobs.ts', import.meta.url).href)};
      import { existsSync } from 'node:fs';
      setInterval(() => existsSync(process.argv[1]) && process.kill(process.pid, 'SIGKILL'), 20);
      await createLocalJobs().run(JSON.parse(process.argv[2]));`;
    const script = "require('fs').writeFileSync(process.argv[1], String(process.pid)); setInterval(() => {}, 1000)";
    const spec = JSON.stringify(job(['node', '-e', script, pidFile]));
    expect(() =>
      execFileSync(process.execPath, ['--input-type=module', '-e', program, pidFile, spec], { stdio: 'pipe' }),
    ).to.throw();
    const pid = Number(await readFile(pidFile, 'utf8'));
    expect(pid).to.be.greaterThan(1);
    while (alive(pid)) await sleep(10);
  });

  it('gets nothing of the environment of the program that runs it', async () => {
    process.env['GREENLIGHT_TEST_SECRET'] = 'leaks';
    try {
      const result = await jobs.run(
        node('console.log(JSON.stringify(Object.keys(process.env).sort()))', { env: { BASE_URL: 'x' } }),
      );
      // Node itself hands this one on to its children, where coverage is measured.
      const seen = (JSON.parse(result.tail) as string[]).filter((name) => name !== 'NODE_V8_COVERAGE');
      expect(seen).to.deep.equal(['BASE_URL', 'HOME', 'LANG', 'PATH', 'TMPDIR']);
    } finally {
      delete process.env['GREENLIGHT_TEST_SECRET'];
    }
  });

  it("runs with Greenlight's own Node", async () => {
    const result = await jobs.run(node('console.log(process.execPath)'));
    expect(dirname(result.tail)).to.equal(dirname(process.execPath));
  });

  it('has a log that only its owner reads, without secrets, even where they come in pieces', async () => {
    const script = "process.stdout.write('user hun'); setTimeout(() => process.stdout.write('ter2 logged in'), 100)";
    const result = await jobs.run(node(script));
    expect(result.tail).to.equal('user [redacted] logged in');
    expect(await log()).to.equal('user [redacted] logged in\n');
    expect((await stat(job([]).log)).mode & 0o077).to.equal(0);
  });

  it('has a bounded log that ends with the last lines', async () => {
    const script =
      "for (let i = 0; i < 30; i++) console.log(i + ' ' + 'x'.repeat(1e6)); for (let i = 0; i < 6e5; i++) console.log('line ' + i + ' of the many'); console.log('the end')";
    const result = await jobs.run(node(script));
    expect(result.tail.split('\n')).to.have.lengthOf(20);
    expect(result.tail).to.contain('the end').and.contain('line 599999');
    const text = await log();
    expect(text.length).to.be.lessThan(11 * 1024 * 1024);
    expect(text)
      .to.match(/\.\.\. \d+ bytes left out; the last lines:\n/)
      .and.contain('line 599999');
  });

  it('rejects where there is no such program or artefact, or no place for the results', async () => {
    for (const [spec, found] of [
      [job(['no-such-program']), 'there is no program "no-such-program"'],
      [job(['./marker.txt']), 'there is no program "./marker.txt"'],
      [job(['node'], { artefact: { ...opened.artefact, location: '/no/such' } }), 'there is no artefact in /no/such'],
      [job(['node', '{results}']), 'its command has {results}'],
    ] as const) {
      const error = await rejection(jobs.run(spec));
      expect(error).to.be.instanceOf(OperationError);
      expect(error.message).to.contain(found);
    }
  });

  it('that writes into its directory has a copy, which is gone afterwards; the artefact stays as it is', async () => {
    const { location } = opened.artefact;
    await chmod(join(location, 'marker.txt'), 0o444);
    const script = `const fs = require('fs'); fs.appendFileSync('marker.txt', '!'); fs.mkdirSync('out'); console.log(process.cwd())`;
    const { exitCode, tail } = await jobs.run(node(script, { writable: true }));
    expect(exitCode).to.equal(0);
    expect(tail.trim()).to.not.equal(location);
    expect(existsSync(tail.trim())).to.equal(false);
    expect(await readdir(location)).to.deep.equal(['marker.txt']);
    expect(await readFile(join(location, 'marker.txt'), 'utf8')).to.equal('artefact');
  });

  it('that writes its results where it likes has them brought, and none that was there before', async () => {
    const results = join(opened.folder, 'brought');
    const old = join(opened.artefact.location, 'target/reports');
    await mkdir(old, { recursive: true });
    await writeFile(join(old, 'old.xml'), 'of the build');
    const more = { results, resultsIn: 'target/reports' };
    await jobs.run(node(`const fs = require('fs'); fs.mkdirSync('target/reports', { recursive: true }); fs.writeFileSync('target/reports/new.xml', 'new')`, more));
    expect(await readdir(results)).to.deep.equal(['new.xml']);
    await jobs.run(node('', more));
    expect(existsSync(results)).to.equal(false);
    await rm(join(opened.artefact.location, 'target'), { recursive: true });
  });

  it("[K2] knows nothing of the shell's proxy", async () => {
    const before = process.env['HTTP_PROXY'];
    process.env['HTTP_PROXY'] = 'http://127.0.0.1:9';
    try {
      expect((await jobs.run(node('console.log(process.env.HTTP_PROXY)'))).tail.trim()).to.equal('undefined');
    } finally {
      if (before === undefined) delete process.env['HTTP_PROXY'];
      else process.env['HTTP_PROXY'] = before;
    }
  });
});
