import { expect } from 'chai';
import { judgeHarm, type Counted } from '../../../../automation/canary/harm.ts';

describe('harm to the live colour since it is published', () => {
  const of = (errors: number, requests: number): Counted => ({ errors, requests });
  const judge = (before: Counted, since: Counted, recent = since) => judgeHarm({ before, since, recent }, 0.01);

  it('is a share of failures that is not chance any more', () => {
    expect(judge(of(0, 12_000), of(89, 2_489))).to.equal('89 of 2489 requests failed since then, 0 of 12000 before');
    // A hundred requests a second of which each 28th fails: after two seconds.
    expect(judge(of(0, 30_000), of(7, 200))).to.be.a('string');
    // Five requests a second: each UPDATE, one request in five, fails: after five seconds.
    expect(judge(of(0, 1_500), of(5, 25))).to.be.a('string');
    // All of them fail: after one.
    expect(judge(of(0, 1_500), of(5, 5))).to.be.a('string');
    expect(judge(of(30, 3_000), of(60, 600))).to.be.a('string');
  });

  it('is not a single failure, nor what failed as often before', () => {
    for (const requests of [1, 5, 1_000]) expect(judge(of(0, 1_500), of(1, requests))).to.equal(undefined);
    expect(judge(of(0, 90_000), of(2, 200))).to.equal(undefined);
    expect(judge(of(50, 1_000), of(60, 1_000))).to.equal(undefined);
    expect(judge(of(300, 300), of(20, 20))).to.equal(undefined);
    expect(judge(of(0, 1_500), of(0, 0))).to.equal(undefined);
  });

  it('is seen when it begins late', () => {
    expect(judge(of(0, 60_000), of(40, 600_000))).to.equal(undefined);
    expect(judge(of(0, 60_000), of(40, 600_000), of(40, 4_000))).to.equal(
      '40 of 4000 requests failed lately, 0 of 60000 before',
    );
  });

  it('is measured by the SLO where there was too little before, unless that failed as well', () => {
    expect(judge(of(0, 0), of(5, 25))).to.be.a('string');
    expect(judge(of(0, 0), of(1, 3))).to.equal(undefined);
    expect(judge(of(0, 0), of(9, 900))).to.equal(undefined);
    expect(judge(of(4, 4), of(5, 5))).to.equal(undefined);
  });

  it('is not concluded from counts that cannot be', () => {
    expect(judge(of(0, 1_500), of(6, 5))).to.equal(undefined);
    expect(judge(of(Number.NaN, 1_500), of(5, 5))).to.equal(undefined);
    expect(judge(of(0, 1_500), of(5, Number.POSITIVE_INFINITY))).to.equal(undefined);
  });
});
