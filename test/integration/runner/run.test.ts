import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { execa } from 'execa';
import { packageRoot } from '../../../infra/lib/paths.ts';

describe('test files side by side', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'greenlight-runner-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  /** Runs files with these texts; resolves to what was printed, and to the states that were written down. */
  async function run(texts: Record<string, string>) {
    for (const [name, text] of Object.entries(texts)) await writeFile(join(directory, `${name}.test.mjs`), text);
    const results = join(directory, 'results');
    const { exitCode, stdout } = await execa(
      process.execPath,
      [join(packageRoot, 'test/run.ts'), '--results', results, join(directory, '*.test.mjs')],
      { reject: false },
    );
    const lines = (await readFile(join(results, 'tests.jsonl'), 'utf8').catch(() => '')).trim().split('\n');
    const states = lines.filter(Boolean).map((line) => (JSON.parse(line) as { state: string }).state);
    return { exitCode, stdout, last: stdout.split('\n').at(-1), states: states.sort() };
  }
  const passing = `it('holds', () => {});`;

  it('pass where all of them do, each with a home of its own', async () => {
    const writes = (name: string) => `
      import { existsSync, writeFileSync } from 'node:fs';
      it('${name}', () => {
        const file = process.env.GREENLIGHT_HOME + '/mine';
        if (existsSync(file)) throw new Error('there was another one');
        writeFileSync(file, '');
      });`;
    const { exitCode, last, states } = await run({ a: writes('a'), b: writes('b') });
    expect({ exitCode, last, states }).to.deep.equal({
      exitCode: 0,
      last: '2 passed, 0 failed',
      states: ['passed', 'passed'],
    });
  });

  it('fail where one does, are not tried twice, and the others go on', async () => {
    const once = `
      import { existsSync, writeFileSync } from 'node:fs';
      const file = import.meta.dirname + '/tried';
      it('is a race', () => { if (!existsSync(file)) { writeFileSync(file, ''); throw new Error('the first time'); } });`;
    const { exitCode, stdout, last } = await run({ a: once, b: passing });
    expect(exitCode).to.equal(1);
    expect(stdout).to.include('the first time');
    expect(last).to.equal('1 passed, 1 failed');
  });

  for (const [how, text] of [
    ['is killed', `${passing} it('dies', () => { console.log('last words'); process.kill(process.pid, 'SIGKILL'); });`],
    ['ends as if all were well', `${passing} it('ends', () => { console.log('last words'); process.exit(0); });`],
    ['cannot be read', `console.log('last words'); ${passing} it(`],
    ['has no test', `console.log('last words');`],
  ] as const) {
    it(`fail where a process ${how}`, async () => {
      const { exitCode, stdout, last, states } = await run({ a: text, b: passing });
      expect(exitCode).to.equal(1);
      expect(last).to.match(/^[12] passed, 1 failed$/);
      expect(states).to.include('failed');
      if (how !== 'cannot be read') expect(stdout).to.include('last words');
    });
  }

  it('fail where there are none', async () => {
    expect((await run({})).exitCode).to.equal(1);
  });
});
