import { expect } from 'chai';
import { statementsOf } from '../../worlds/cures.ts';
import { Ledger } from '../../worlds/ledger.ts';

describe('the books of a world', () => {
  const ledger = (): Ledger => {
    const kept = new Ledger({ stock: 10 });
    kept.acknowledge({ rows: ['a', 'b'], counters: { stock: 2, paid: 1 } });
    kept.acknowledge({ rows: ['c'], gone: ['c', 'd'], counters: { stock: -1 } });
    kept.lose({ rows: ['e'], counters: { stock: 3 } });
    return kept;
  };
  const counters = { stock: 11, paid: 1 };

  it('balance where everything is there once, and what has no answer is there or not', () => {
    for (const found of [
      { rows: ['a', 'b'], counters },
      { rows: ['a', 'b', 'e'], counters: { stock: 14, paid: 1 } },
    ])
      expect(ledger().balance(found)).to.deep.equal({ acknowledged: 9, unknown: 4, lost: 0, doubled: 0, findings: [] });
  });

  it('find a lost row and lost increments', () => {
    const { lost, doubled, findings } = ledger().balance({ rows: ['a'], counters: { stock: 9 } });
    expect({ lost, doubled }).to.deep.equal({ lost: 4, doubled: 0 });
    expect(findings).to.deep.equal([
      'b is lost',
      'stock is 9, and at least 11 were acknowledged',
      'paid is 0, and at least 1 were acknowledged',
    ]);
  });

  it('find rows that are there twice, that came back, or that nobody wrote, and increments that were made twice', () => {
    const rows = ['a', 'a', 'b', 'c', 'd', 'e', 'x'];
    const { lost, doubled, findings } = ledger().balance({ rows, counters: { stock: 15, paid: 1 } });
    expect({ lost, doubled }).to.deep.equal({ lost: 0, doubled: 5 });
    expect(findings).to.deep.equal([
      'a is there 2 times',
      'c is there, and must not be',
      'd is there, and must not be',
      'x is there, and must not be',
      'stock is 15, and at most 14 were written',
    ]);
  });
});

describe('the statements of a cure', () => {
  for (const [cure, statements] of [
    ['add a primary key, or: ALTER TABLE "t" REPLICA IDENTITY FULL', 'ALTER TABLE "t" REPLICA IDENTITY FULL'],
    [
      'REVOKE a ON b FROM c; GRANT a ON b TO d; or, if it only reads: ALTER b STABLE',
      'REVOKE a ON b FROM c; GRANT a ON b TO d',
    ],
    ['install the package of x', undefined],
  ] as const)
    it(`${cure}`, () => expect(statementsOf(cure)).to.equal(statements));
});
