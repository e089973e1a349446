import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { projectRoot } from '../../../infra/paths.ts';

describe('the last line of .ci/run', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'greenlight-ci-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  interface Left {
    stats?: { tests: number; passes: number; failures: number; pending: number };
    failures?: { fullTitle: string; file: string; err: { message: string } }[];
    codes?: Partial<Record<'tests' | 'lint' | 'typecheck', number>>;
  }

  async function summaryOf({ stats, failures = [], codes = {} }: Left): Promise<{ code: number; lines: string[] }> {
    for (const name of ['tests', 'lint', 'typecheck'] as const) {
      await writeFile(join(directory, `${name}.code`), `${codes[name] ?? 0}\n`);
      await writeFile(join(directory, `${name}.log`), `log of ${name}\n`);
    }
    if (stats !== undefined) await writeFile(join(directory, 'tests.json'), JSON.stringify({ stats, failures }));
    return new Promise((resolve) => {
      execFile(process.execPath, [join(projectRoot, '.ci/summary.mjs'), directory], (error, stdout) => {
        resolve({ code: error === null ? 0 : Number(error.code), lines: stdout.trimEnd().split('\n') });
      });
    });
  }

  it('counts tests, lint and types', async () => {
    const { code, lines } = await summaryOf({ stats: { tests: 12, passes: 10, failures: 0, pending: 2 } });
    expect(lines.at(-1)).to.equal('12 passed, 0 failed');
    expect(lines.join('\n')).to.include('2 tests were skipped');
    expect(code).to.equal(0);
  });

  it('names failed tests', async () => {
    const failures = [{ fullTitle: 'router holds writes', file: 'test/x.ts', err: { message: 'expected 1' } }];
    const stats = { tests: 10, passes: 9, failures: 1, pending: 0 };
    const { code, lines } = await summaryOf({ stats, failures, codes: { tests: 1 } });
    expect(lines.at(-1)).to.equal('11 passed, 1 failed');
    expect(lines).to.include('FAILED router holds writes');
    expect(code).to.equal(1);
  });

  it('does not pass when no test ran, or when mocha wrote nothing', async () => {
    expect((await summaryOf({ stats: { tests: 0, passes: 0, failures: 0, pending: 0 } })).lines.at(-1)).to.equal(
      '2 passed, 1 failed',
    );
    await rm(join(directory, 'tests.json'));
    const { code, lines } = await summaryOf({ codes: { tests: 137 } });
    expect(lines.at(-1)).to.equal('2 passed, 1 failed');
    expect(lines.join('\n')).to.include('no test ran').and.to.include('log of tests');
    expect(code).to.equal(1);
  });

  it('does not pass when npm test failed although no test did', async () => {
    const stats = { tests: 5, passes: 5, failures: 0, pending: 0 };
    expect((await summaryOf({ stats, codes: { tests: 7 } })).lines.at(-1)).to.equal('7 passed, 1 failed');
  });

  it('shows the log of lint and types when they fail', async () => {
    const stats = { tests: 5, passes: 5, failures: 0, pending: 0 };
    const { lines } = await summaryOf({ stats, codes: { lint: 1, typecheck: 2 } });
    expect(lines.at(-1)).to.equal('5 passed, 2 failed');
    expect(lines).to.include('    log of lint').and.to.include('    log of typecheck');
  });
});
