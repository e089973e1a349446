import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../../../../infra/lib/paths.ts';

describe('the last line of .ci/run', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'greenlight-ci-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  interface Left {
    /** Number of results by state; undefined: nothing was written. */
    results?: Partial<Record<'passed' | 'failed' | 'skipped', number>>;
    codes?: Partial<Record<'tests' | 'lint' | 'typecheck', number>>;
  }

  const linesOf = (results: NonNullable<Left['results']>): string =>
    Object.entries(results)
      .flatMap(([state, count]) =>
        Array.from({ length: count }, (_, i) => ({ state, title: `${state} ${i}`, error: 'expected 1' })),
      )
      .map((result) => `${JSON.stringify(result)}\n`)
      .join('');

  async function summaryOf({ results, codes = {} }: Left): Promise<{ code: number; lines: string[] }> {
    for (const name of ['tests', 'lint', 'typecheck'] as const) {
      await writeFile(join(directory, `${name}.code`), `${codes[name] ?? 0}\n`);
      await writeFile(join(directory, `${name}.log`), `log of ${name}\n`);
    }
    // The half line is what a killed run leaves.
    if (results !== undefined) await writeFile(join(directory, 'tests.jsonl'), `${linesOf(results)}{"sta`);
    return new Promise((resolve) => {
      execFile(process.execPath, [join(packageRoot, '.ci/summary.mjs'), directory], (error, stdout) => {
        resolve({ code: error === null ? 0 : Number(error.code), lines: stdout.trimEnd().split('\n') });
      });
    });
  }

  it('counts tests, lint and types', async () => {
    const { code, lines } = await summaryOf({ results: { passed: 10, skipped: 2 } });
    expect(lines.at(-1)).to.equal('12 passed, 0 failed');
    expect(lines.join('\n')).to.include('2 tests were skipped');
    expect(code).to.equal(0);
  });

  it('names failed tests', async () => {
    const { code, lines } = await summaryOf({ results: { passed: 9, failed: 1 }, codes: { tests: 1 } });
    expect(lines.at(-1)).to.equal('11 passed, 1 failed');
    expect(lines).to.include('FAILED failed 0').and.to.include('    expected 1');
    expect(code).to.equal(1);
  });

  it('does not pass when no test ran, or when nothing was written', async () => {
    const nothing = await summaryOf({ codes: { tests: 137 } });
    expect(nothing.lines.at(-1)).to.equal('2 passed, 1 failed');
    expect(nothing.lines.join('\n')).to.include('no test ran').and.to.include('log of tests');
    expect(nothing.code).to.equal(1);
    expect((await summaryOf({ results: { skipped: 3 } })).lines.at(-1)).to.equal('2 passed, 1 failed');
  });

  it('counts npm test as failed when it was cut off, or failed although no test did', async () => {
    const cutOff = await summaryOf({ results: { passed: 5, failed: 1 }, codes: { tests: 124 } });
    expect(cutOff.lines.at(-1)).to.equal('7 passed, 2 failed');
    expect(cutOff.lines).to.include('FAILED npm test was cut off');
    const odd = await summaryOf({ results: { passed: 5 }, codes: { tests: 7 } });
    expect(odd.lines.at(-1)).to.equal('7 passed, 1 failed');
  });

  it('shows the log of lint and types when they fail', async () => {
    const { lines } = await summaryOf({ results: { passed: 5 }, codes: { lint: 1, typecheck: 2 } });
    expect(lines.at(-1)).to.equal('5 passed, 2 failed');
    expect(lines).to.include('    log of lint').and.to.include('    log of typecheck');
  });
});
