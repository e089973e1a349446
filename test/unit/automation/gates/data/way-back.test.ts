import { expect } from 'chai';
import { judgeWayBack, type WayBackFacts } from '../../../../../automation/gates/data/way-back.ts';
import { worst } from '../../../../../automation/journal/verdict.ts';

const well: WayBackFacts = { looks: 9, silentMs: 100, mended: [], lagBytes: 0, lagMs: 3 };
const verdictOf = (facts: Partial<WayBackFacts>, broken: 'roll-back' | 'stay' = 'roll-back') =>
  worst(judgeWayBack({ ...well, ...facts }, broken).map(({ verdict }) => verdict));

describe('the judgement of the way back', () => {
  it('passes where both databases answered until the end, and says what was mended', () => {
    expect(verdictOf({})).to.equal('pass');
    const [first] = judgeWayBack({ ...well, mended: ['the partitions public.m_2 were created on blue'] }, 'roll-back');
    expect(first?.measured).to.contain('mended: the partitions public.m_2');
  });

  it('fails where it is broken, in the words that were found', () => {
    const problem = 'value too long for type character varying(20)';
    expect(verdictOf({ problem })).to.equal('fail');
    expect(judgeWayBack({ ...well, problem }, 'roll-back')[0]?.measured).to.equal(problem);
    // Also where the databases have fallen silent since.
    expect(verdictOf({ problem, silentMs: 60_000 })).to.equal('fail');
  });

  it('is inconclusive where nobody looked, or the last look is too long ago', () => {
    expect(verdictOf({ looks: 0, silentMs: undefined })).to.equal('inconclusive');
    expect(verdictOf({ silentMs: 10_001, silent: 'blue' })).to.equal('inconclusive');
    expect(verdictOf({ silentMs: 9_999 })).to.equal('pass');
  });

  it('is inconclusive where the database of the old colour is lost and not made anew, and says why', () => {
    expect(verdictOf({ unmade: 'no space is left' })).to.equal('inconclusive');
    expect(verdictOf({ unmade: 'no space is left' }, 'stay')).to.equal('waived');
    const [first] = judgeWayBack({ ...well, unmade: 'no space is left' }, 'roll-back');
    expect(first?.measured).to.contain('could not be made anew: no space is left');
  });

  it('fails where the old colour is further behind than a cutover back waits', () => {
    expect(verdictOf({ lagMs: 30_001 })).to.equal('fail');
    expect(verdictOf({ lagMs: 30_000 })).to.equal('pass');
  });

  it('is waived where the definition says that the new version stays: broken or silent, and never for lag', () => {
    expect(verdictOf({ problem: 'x' }, 'stay')).to.equal('waived');
    expect(verdictOf({ looks: 0, silentMs: undefined }, 'stay')).to.equal('waived');
    expect(verdictOf({ lagMs: 30_001 }, 'stay')).to.equal('fail');
  });
});
