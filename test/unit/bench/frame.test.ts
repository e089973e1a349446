import { expect } from 'chai';
import { measure, medians, quantile, ratioOf, type Contender } from '../../bench/frame.ts';

describe('a benchmark', () => {
  it('runs its contenders in turns, each round beginning with another, and skips by name what is absent', async () => {
    const order: string[] = [];
    const contender = (name: string, seconds: number[], absent?: string): Contender => ({
      name,
      absent,
      run: () => {
        order.push(name);
        return Promise.resolve({ s: seconds.shift() ?? NaN });
      },
    });
    let disposed = false;
    const result = await measure(
      {
        name: 'b',
        title: 'B',
        wanted: 2,
        prepare: () =>
          Promise.resolve({
            about: '1 row',
            contenders: [
              contender('ours', [3, 1, 2]),
              contender('slow', [9, 8, 7]),
              contender('quick', [4, 6, 5]),
              contender('none', [], 'not installed: none'),
            ],
            dispose: () => {
              disposed = true;
              return Promise.resolve();
            },
          }),
      },
      1,
      3,
    );
    expect(order.join(' ')).to.equal('ours slow quick slow quick ours quick ours slow');
    expect(result).to.include({ ratio: 2.5, wanted: 2, scale: 1 });
    expect(result.outcomes[3]).to.deep.include({ absent: 'not installed: none', rounds: [] });
    expect(disposed).to.equal(true);
  });

  it('takes the total of a contender in place of its medians, with what explains it, and compares that', async () => {
    const contender = (name: string, p50: number): Contender => ({
      name,
      run: () => Promise.resolve({ ms: 1 }),
      total: () => ({ figures: { p50 }, details: { steps: { hold: p50 } } }),
    });
    const prepared = {
      about: '',
      contenders: [contender('ours', 2), { ...contender('our other way', 1), own: true }, contender('peer', 6)],
      dispose: async () => {},
    };
    const limits = { p50: 5 };
    const result = await measure({ name: 'b', title: 'B', limits, prepare: () => Promise.resolve(prepared) }, 1, 2);
    expect(result).to.deep.include({ ratio: 3, limits });
    expect(result.outcomes[0]).to.deep.equal({
      contender: 'ours',
      rounds: [{ ms: 1 }, { ms: 1 }],
      medians: { p50: 2 },
      details: { steps: { hold: 2 } },
    });
  });

  it('takes quantiles by the nearest rank', () => {
    expect([0.5, 0.99, 1].map((share) => quantile([4, 1, 3, 2], share))).to.deep.equal([2, 4, 4]);
    expect(quantile([], 0.5)).to.be.NaN;
  });

  it('takes medians, and has no ratio without a peer', () => {
    expect(
      medians([
        { s: 4, MB: 1 },
        { s: 1, MB: 3 },
        { s: 2, MB: 2 },
        { s: 3, MB: 4 },
      ]),
    ).to.deep.equal({ s: 2.5, MB: 2.5 });
    expect(ratioOf([{ medians: { s: 1 } }, { medians: {} }])).to.equal(undefined);
    expect(ratioOf([{ medians: {} }, { medians: { s: 1 } }])).to.equal(undefined);
  });
});
