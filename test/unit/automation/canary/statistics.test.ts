import { expect } from 'chai';
import { binomialTail, fisherTail, mannWhitneyGreater, percentile } from '../../../../automation/canary/statistics.ts';

describe('statistics of the canary', () => {
  it('interpolates percentiles like k6, whatever the order, and leaves the input alone', () => {
    const values = [40, 10, 30, 20];
    expect(percentile(values, 0.5)).to.equal(25);
    expect(percentile(values, 0)).to.equal(10);
    expect(percentile(values, 1)).to.equal(40);
    expect(percentile(values, 0.95)).to.be.closeTo(38.5, 1e-9);
    expect(values).to.deep.equal([40, 10, 30, 20]);
    expect(percentile([], 0.95)).to.be.NaN;
  });

  it('knows textbook binomial tails', () => {
    expect(binomialTail(8, 10, 0.5)).to.be.closeTo(56 / 1024, 1e-9);
    expect(binomialTail(1, 60, 0.001)).to.be.closeTo(1 - 0.999 ** 60, 1e-9);
    expect(binomialTail(0, 10, 0.5)).to.equal(1);
    expect(binomialTail(1, 10, 0)).to.equal(0);
    expect(binomialTail(100, 100, 1)).to.equal(1);
    expect(binomialTail(6_000, 100_000, 0.05)).to.be.lessThan(1e-40);
  });

  it("knows Fisher's tea tasting: 3 of 4 against 1 of 4 is 17/70, 4 of 4 is 1/70", () => {
    expect(fisherTail(3, 4, 1, 4)).to.be.closeTo(17 / 70, 1e-9);
    expect(fisherTail(4, 4, 0, 4)).to.be.closeTo(1 / 70, 1e-9);
    expect(fisherTail(1, 4, 3, 4)).to.equal(1);
    expect(fisherTail(0, 0, 0, 0)).to.equal(1);
  });

  it('knows the direction of a shift, and nothing of equal values', () => {
    const low = Array.from({ length: 30 }, (_, i) => i);
    const high = low.map((value) => value + 20);
    expect(mannWhitneyGreater(high, low)).to.be.lessThan(1e-6);
    expect(mannWhitneyGreater(low, high)).to.be.greaterThan(1 - 1e-6);
    expect(mannWhitneyGreater(low, low)).to.be.closeTo(0.5, 0.01);
    expect(mannWhitneyGreater([5, 5, 5], [5, 5])).to.equal(1);
    expect(mannWhitneyGreater([], [1])).to.equal(1);
  });

  it('agrees with the exact distribution of U: without ties, 4 and 4 all above, 1/70 within the approximation', () => {
    expect(mannWhitneyGreater([5, 6, 7, 8], [1, 2, 3, 4])).to.be.closeTo(1 / 70, 0.002);
  });
});
