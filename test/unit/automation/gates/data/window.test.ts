import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  expectedMsOf,
  judgeWindow,
  readOnlyWindowGate,
  reserveMs,
  type WindowFacts,
  type WindowTimes,
} from '../../../../../automation/gates/data/window.ts';
import { runGate } from '../../../../../automation/gates/run.ts';
import { migrationRisks } from '../../../../../automation/journal/migration-risks.ts';
import { worst } from '../../../../../automation/journal/verdict.ts';

const times: WindowTimes = { compare: 20_000, migrations: 15_000, start: 3_000, invariants: 1_000, hold: 2_000 };
const sum = 41_000 + reserveMs;
const verdict = (given: Partial<WindowTimes>, longestMs: number) =>
  worst(judgeWindow({ ...times, ...given }, longestMs).map((one) => one.verdict));

describe('the time without writes', () => {
  it('is the sum of all that the window holds, with a reserve for what the copy says nothing about', () => {
    expect(expectedMsOf(times)).to.equal(sum);
    expect(verdict({}, sum)).to.equal('pass');
    expect(verdict({}, sum - 1)).to.equal('fail');
  });

  it('counts each part', () => {
    for (const part of Object.keys(times) as (keyof WindowTimes)[])
      expect(verdict({ [part]: (times[part] ?? 0) + 1 }, sum), part).to.equal('fail');
  });

  it('names every part where it is too long, and what to do', () => {
    const failed = judgeWindow(times, 30_000).filter((one) => one.verdict === 'fail');
    expect(failed).to.have.length(1);
    expect(failed[0]).to.include({ name: 'time without writes', measured: 'about 51 s', wanted: '<= 30 s' });
    for (const part of ['comparison', 'migrations 15 s', 'start', 'invariants', 'flip', 'reserve', 'longestSeconds'])
      expect(failed[0]?.note).to.include(part);
  });

  it('is not known where a part of it is not: that is not taken for nothing', () => {
    expect(expectedMsOf({ ...times, compare: undefined })).to.equal(undefined);
    expect(expectedMsOf({ ...times, compare: Number.NaN })).to.equal(undefined);
    expect(verdict({ compare: undefined }, 3_600_000)).to.equal('inconclusive');
    expect(verdict({ compare: Number.NaN }, 3_600_000)).to.equal('inconclusive');
    const [unknown] = judgeWindow({ ...times, compare: undefined }, 3_600_000);
    expect(unknown).to.include({ name: 'comparison of both databases', measured: 'not known' });
  });

  it('is too long where that is so without the part that is not known', () => {
    const found = judgeWindow({ ...times, compare: undefined }, 30_000).at(-1);
    expect(found).to.include({ verdict: 'fail', measured: 'more than 31 s' });
    expect(found?.note).to.include('comparison of both databases not known');
  });
});

describe('the gate read-only-window', () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'greenlight-window-'));
  });
  after(() => rm(directory, { recursive: true, force: true }));

  const facts: WindowFacts = {
    expected: ['006.sql'],
    applied: [{ name: '006.sql', ms: 12 }],
    relations: 3,
    invariants: [{ name: 'sums', rows: 0 }],
    seen: { tables: 2, rows: 10, effects: [], announced: 0, locks: [] },
    times,
  };
  const judged = (given: Partial<WindowFacts> = {}) => {
    const rehearse = () => Promise.resolve({ ...facts, ...given });
    return runGate(readOnlyWindowGate({ rehearse, longestMs: 60_000, accept: [] }), { releaseDirectory: directory });
  };

  it('passes where the migrations ran, the invariants hold and there is time enough, with evidence', async () => {
    const passed = await judged();
    expect(passed).to.include({ id: 'read-only-window', verdict: 'pass' });
    expect(passed.evidence).to.have.length(1);
  });

  it('fails where a migration did not run, an invariant does not hold, or a finding was made on the copy', async () => {
    expect((await judged({ applied: [] })).measured).to.include('migrations applied');
    expect(await judged({ invariants: [{ name: 'sums', rows: 2 }] })).to.include({
      verdict: 'fail',
      measured: 'invariant sums: 2 rows break it',
    });
    const effects = [
      { object: 'public.a', rule: 'long-lock', stops: false, why: 'it waits', instead: 'less' } as const,
    ];
    const named = await judged({ seen: { ...facts.seen, effects: [...effects] } });
    expect(migrationRisks([named])).to.deep.equal([{ rule: 'long-lock', place: 'public.a', why: 'it waits' }]);
  });

  it('has an error, which nobody can waive, where they fail on the copy', async () => {
    const rehearse = () => Promise.reject(new Error('division by zero'));
    const waivers = [{ gate: 'read-only-window', reason: 'agreed', by: 'me', expires: '2999-12-31' }];
    const gate = readOnlyWindowGate({ rehearse, longestMs: 60_000, accept: [] });
    expect(await runGate(gate, { releaseDirectory: directory, waivers })).to.include({ verdict: 'error' });
  });
});
