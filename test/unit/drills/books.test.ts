import { expect } from 'chai';
import { difference, outcomeOf, type IncrementLedger } from '../../drills/clients.ts';
import { booksOf } from '../../drills/judge.ts';
import { judgeRefusal, type Refusal } from '../../drills/refusal.ts';
import type { Check, Scenario } from '../../drills/scenario.ts';

const scenario: Scenario = {
  name: 'state-gone',
  fault: 'gone',
  expect: { exitCode: 1, verdict: 'refused', stage: 'preflight' },
  felt: 'nothing',
};
const ledger: IncrementLedger = {
  acknowledged: 100,
  unknown: 2,
  refused: 1,
  lost: 0,
  doubled: 0,
  longestGapMs: 400,
  settledMs: 2_900,
};
const wrong = (checks: Check[]): string[] => checks.filter(({ ok }) => !ok).map(({ what }) => what.split(':')[0] ?? '');

describe('drills: the clients’ own books', () => {
  const counter = (acknowledged: number, unknown = 0) => ({ email: 'a', lesson: 'b', acknowledged, unknown });

  it('count what a row lacks and what it has too many, each row apart', () => {
    const counters = [counter(10), counter(10, 2), counter(10)];
    const values = [7, 12, 11];
    expect(difference(counters, (one) => values[counters.indexOf(one)] ?? 0)).to.deep.equal({
      acknowledged: 30,
      unknown: 2,
      lost: 3,
      doubled: 1,
    });
  });

  it('tell what was done, what was not, and what nobody knows', () => {
    const of = (status: number, headers = {}) => outcomeOf({ status, headers }).is;
    expect([of(201), of(409), of(503, { 'retry-after': '1' })]).to.deep.equal(['acknowledged', 'refused', 'refused']);
    expect([of(500), of(502), of(503), of(504), of(302)]).to.deep.equal(Array(5).fill('unknown'));
  });

  it('are as expected with nothing lost, nothing double, and writes that go on', () => {
    expect(wrong(booksOf(scenario, ledger))).to.deep.equal([]);
    expect(wrong(booksOf(scenario, { ...ledger, lost: 16, doubled: 1, settledMs: null }))).to.deep.equal([
      'lost increments',
      'increments made twice',
      'the live colour acknowledges a write in the end',
    ]);
    expect(wrong(booksOf(scenario, { ...ledger, acknowledged: 0 }))).to.deep.equal(['increments were acknowledged']);
    expect(wrong(booksOf({ ...scenario, felt: 'lost writes' }, { ...ledger, lost: 16 }))).to.deep.equal([]);
  });
});

describe('drills: a command that has to refuse', () => {
  const world: Refusal['before'] = {
    live: { colour: 'blue', version: '1.0.0' },
    split: { live: 'blue', percent: 0 },
    holdMs: 0,
    answered: { version: '1.0.0', write: 201 },
    pids: { balancer: 8 },
    idleColourUp: false,
    replication: [],
    locks: [],
    strays: [],
  };
  const refusal: Refusal = {
    exitCode: 1,
    before: world,
    after: world,
    version: '2.0.0',
    checks: [],
    ledger,
    seconds: 9,
    said: 'checking\n✕ planning the release\n  found: blue runs\n  to do: restore the state\n',
    unfinished: false,
  };
  const failed = (other: Partial<Refusal>): string[] => wrong(judgeRefusal(scenario, { ...refusal, ...other }).checks);

  it('does so in words for people, and nothing has changed', () => {
    const result = judgeRefusal(scenario, refusal);
    expect(result).to.include({ ok: true, verdict: 'refused', ledger });
    expect(result.reason).to.match(/^✕ planning the release\s+found: blue runs/);
  });

  it('not, where it went on, said nothing, or the live colour was touched', () => {
    expect(failed({ exitCode: 2 })).to.deep.equal(['exit code']);
    const another = { ...refusal, said: '✕ starting a release\n  found: another one runs\n' };
    const about = { ...scenario, expect: { ...scenario.expect, says: /\bblue\b/ } };
    expect(wrong(judgeRefusal(about, refusal).checks)).to.deep.equal([]);
    expect(wrong(judgeRefusal(about, another).checks)).to.deep.equal(['says why']);
    expect(failed({ said: 'Error: x\n    at y.ts:1' })).to.deep.equal(['says why']);
    expect(failed({ unfinished: true })).to.deep.equal(['leaves an unfinished release']);
    expect(failed({ ledger: { ...ledger, lost: 478 } })).to.deep.equal(['lost increments']);
    expect(failed({ after: { ...world, pids: { balancer: 9 } } })).to.deep.equal([
      'processes of the live colour and the balancer',
    ]);
  });
});
