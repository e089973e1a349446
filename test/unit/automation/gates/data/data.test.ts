import { expect } from 'chai';
import { judgeSchema, judgeSync } from '../../../../../automation/gates/data/data.ts';
import { judgeComparison, judgeInvariants } from '../../../../../automation/gates/data/judging.ts';
import { judgeRehearsal } from '../../../../../automation/gates/data/rehearsal.ts';
import { judgeRestore, type RestoreFacts } from '../../../../../automation/gates/data/restore.ts';
import type { SyncFacts } from '../../../../../automation/data/replication/sync-facts.ts';
import { worst, type Measurement } from '../../../../../automation/journal/verdict.ts';

const verdict = (all: Measurement[]) => worst(all.map((m) => m.verdict));
const table = (left: number, right = left, equal = left === right) => ({
  table: 'lessons',
  rows: { left, right },
  equal,
});

describe('the judgement of a catalog', () => {
  it('passes an equal one, fails with each difference, and is inconclusive without an object', () => {
    expect(verdict(judgeSchema({ objects: 9, different: [] }))).to.equal('pass');
    const judged = judgeSchema({
      objects: 9,
      different: ['view a was replaced on blue', 'table b was dropped on blue'],
    });
    expect(verdict(judged)).to.equal('fail');
    expect(judged.map(({ measured }) => measured)).to.include('table b was dropped on blue');
    expect(verdict(judgeSchema({ objects: 0, different: [] }))).to.equal('inconclusive');
  });
});

describe('comparing tables', () => {
  it('passes when they are equal and not all empty', () =>
    expect(verdict(judgeComparison([table(3), table(0)]))).to.equal('pass'));

  it('is inconclusive without tables, and when every table is empty', () => {
    expect(verdict(judgeComparison([]))).to.equal('inconclusive');
    expect(verdict(judgeComparison([table(0), table(0)]))).to.equal('inconclusive');
  });

  it('fails on other content, on other counts, and when one side is empty', () => {
    expect(verdict(judgeComparison([table(3, 3, false)]))).to.equal('fail');
    expect(verdict(judgeComparison([table(3, 2, true)]))).to.equal('fail');
    expect(verdict(judgeComparison([table(0, 4, false)]))).to.equal('fail');
  });

  it('names the table and why', () => {
    const [, named] = judgeComparison([{ ...table(3, 2), detail: '1 row only on blue' }]);
    expect(named).to.include({ name: 'table lessons', measured: '2 rows: 1 row only on blue' });
  });
});

describe('a restored backup', () => {
  const structure = { objects: 9, sequences: 2, sequencesLeftOut: 0, different: [], unknown: [] };
  const figures = { recoveryTimeMs: 900, recoveryPointMs: 100, bytes: 5, configurationEqual: true };
  const good: RestoreFacts = { tables: [table(3)], structure, ...figures };
  const limits = { timeMs: 1000, pointMs: 200 };
  it('passes in time and equal', () => expect(verdict(judgeRestore(good, limits))).to.equal('pass'));
  for (const [what, change, wanted] of [
    ['too slow', { recoveryTimeMs: 1001 }, 'fail'],
    ['too old', { recoveryPointMs: 201 }, 'fail'],
    ['other configuration', { configurationEqual: false }, 'fail'],
    ['empty file', { bytes: 0 }, 'fail'],
    ['empty database', { tables: [table(0)] }, 'inconclusive'],
    ['time unknown', { recoveryTimeMs: NaN }, 'inconclusive'],
    ['stale sequence', { structure: { ...structure, different: ['sequence s is at 1'] } }, 'fail'],
    ['object that cannot be judged', { structure: { ...structure, unknown: ['index i is missing'] } }, 'inconclusive'],
    ['no object', { structure: { ...structure, objects: 0 } }, 'inconclusive'],
    ['index damaged', { structure: { ...structure, indexes: { checked: 2, of: 2, damaged: ['index i'] } } }, 'fail'],
    [
      'indexes not checked',
      { structure: { ...structure, indexes: { checked: 0, of: 2, damaged: [], reason: 'no amcheck' } } },
      'pass',
    ],
    ['sequences left out', { structure: { ...structure, sequencesLeftOut: 2 } }, 'pass'],
  ] as [string, Partial<RestoreFacts>, string][])
    it(`${what}: ${wanted}`, () => expect(verdict(judgeRestore({ ...good, ...change }, limits))).to.equal(wanted));

  it('names what differs, up to a limit, and counts all', () => {
    const different = Array.from({ length: 50 }, (_, i) => `index public.i${i} is missing`);
    const measured = judgeRestore({ ...good, structure: { ...structure, different } }, limits).map((m) => m.measured);
    expect(measured).to.include('9 objects, 2 sequences, 50 differ').and.to.include('index public.i0 is missing');
    expect(measured.filter((text) => text.endsWith('is missing'))).to.have.length(20);
  });
});

describe('a rehearsed migration', () => {
  const good = {
    expected: ['1.sql'],
    applied: [{ name: '1.sql', ms: 5 }],
    relations: 4,
    invariants: [{ name: 'no orphan', rows: 0 }],
  };
  it('passes when all ran and the invariants hold', () => expect(verdict(judgeRehearsal(good))).to.equal('pass'));
  it('fails where changes of a table could not flow back', () => {
    const obstacles = [{ found: 'table public.log: level is not on blue', cure: 'add a primary key' }];
    const [obstacle] = judgeRehearsal({ ...good, obstacles }).slice(-1);
    expect(obstacle).to.include({
      name: 'way back',
      verdict: 'fail',
      measured: 'table public.log: level is not on blue',
      note: 'Cure: add a primary key',
    });
    expect(verdict(judgeRehearsal({ ...good, obstacles: [] }))).to.equal('pass');
  });
  it('fails when one did not run, or an invariant is broken', () => {
    expect(verdict(judgeRehearsal({ ...good, applied: [] }))).to.equal('fail');
    expect(verdict(judgeInvariants([{ name: 'no orphan', rows: 2 }]))).to.equal('fail');
    expect(verdict(judgeInvariants([{ name: 'no orphan', rows: 0, empty: ['"public"."lessons"'] }]))).to.equal(
      'inconclusive',
    );
  });
  it('is inconclusive on an empty schema', () =>
    expect(verdict(judgeRehearsal({ ...good, relations: 0 }))).to.equal('inconclusive'));
});

describe('the replication', () => {
  const good: SyncFacts = {
    tables: [{ table: 'a', ready: true }],
    lagMs: 10,
    lagBytes: 0,
    workerAlive: true,
    slotStatus: 'reserved',
  };
  const judged = (change: Partial<SyncFacts>) => verdict(judgeSync({ ...good, ...change }, 1000));
  it('passes when it is alive and close', () => expect(judged({})).to.equal('pass'));
  for (const [what, change, wanted] of [
    ['a lost slot under ready tables', { slotStatus: 'lost' }, 'fail'],
    ['no slot', { slotStatus: undefined }, 'fail'],
    ['a dead worker under ready tables', { workerAlive: false }, 'fail'],
    ['a table that is still copied', { tables: [{ table: 'a', ready: false }] }, 'fail'],
    ['too much lag', { lagMs: 1001 }, 'fail'],
    ['unknown lag', { lagMs: undefined }, 'inconclusive'],
    ['nothing published', { tables: [] }, 'inconclusive'],
  ] as [string, Partial<SyncFacts>, string][])
    it(`${what}: ${wanted}`, () => expect(judged(change)).to.equal(wanted));
});
