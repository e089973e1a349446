import { expect } from 'chai';
import { judgeEffectFacts, type EffectFacts } from '../../../../../automation/gates/data/effects.ts';
import { judge } from '../../../../../automation/gates/run.ts';
import { migrationRisks } from '../../../../../automation/journal/migration-risks.ts';
import { worst } from '../../../../../automation/journal/verdict.ts';

describe('judging what migrations did to the copy', () => {
  const effect = (rule: EffectFacts['effects'][number]['rule'], stops: boolean, object = 'public.users') => ({
    object,
    rule,
    stops,
    why: `it ${rule}`,
    instead: 'write it so',
  });
  const facts = (given: Partial<EffectFacts> = {}): EffectFacts => ({
    tables: 3,
    rows: 40,
    effects: [],
    announced: 0,
    locks: [],
    ...given,
  });
  const verdict = (given: Partial<EffectFacts>, accept: Parameters<typeof judgeEffectFacts>[1] = []) =>
    worst(judgeEffectFacts(facts(given), accept).measurements.map((one) => one.verdict));
  const accept = [{ object: 'public.users', rule: 'breaks-old-version', reason: 'nobody uses it any more' }];

  it('passes where nothing was done that anybody has to know', () => {
    expect(verdict({})).to.equal('pass');
    expect(judgeEffectFacts(facts({ announced: 2 }), []).summary?.measured).to.equal(
      'nothing to name in 3 tables, 40 rows; 2 that the files announce',
    );
  });

  it('is inconclusive where no table was read, or something cannot be judged', () => {
    expect(verdict({ tables: 0 })).to.equal('inconclusive');
    expect(verdict({ effects: [effect('unread', true)] })).to.equal('inconclusive');
  });

  it('fails on what stops, is waived where that object and rule are accepted, and names the rest', () => {
    expect(verdict({ effects: [effect('breaks-old-version', true)] })).to.equal('fail');
    expect(verdict({ effects: [effect('breaks-old-version', true)] }, accept)).to.equal('waived');
    expect(verdict({ effects: [effect('breaks-replication', true)] }, accept)).to.equal('fail');
    expect(verdict({ effects: [effect('breaks-old-version', true, 'public.orders')] }, accept)).to.equal('fail');
    const named = judgeEffectFacts(facts({ effects: [effect('loosens', false)] }), []);
    expect(worst(named.measurements.map((one) => one.verdict))).to.equal('pass');
    const gate = { id: 'migration-effects', title: '' };
    const result = { ...judge(gate, named, [], new Date()), evidence: [], ms: 1, observationMs: 0 };
    expect(migrationRisks([result])).to.deep.equal([{ rule: 'loosens', place: 'public.users', why: 'it loosens' }]);
  });

  it('fails where a second run of the command changes something', () => {
    expect(verdict({ again: [] })).to.equal('pass');
    expect(verdict({ again: ['rows of public.users'] })).to.equal('fail');
  });
});
