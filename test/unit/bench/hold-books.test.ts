import { expect } from 'chai';
import { balance, longestWait } from '../../bench/hold-books.ts';
import type { Write } from '../../bench/hold-writers.ts';

describe('the books of the writers', () => {
  const writes: Write[] = [
    [0, 0, 100, 103, true],
    [0, 1, 110, 150, true],
    [1, 0, 120, 125, false],
    [1, 1, 160, 170, true],
  ];
  const row = (writer: number, n: number, times = 1) => ({ writer, n, times });
  const all = [row(0, 0), row(0, 1), row(1, 1)];
  const even = [{ more: 0 }, { more: 0 }];

  it('balance where every acknowledged write is there once, with the refused one or without', () => {
    const balanced = { acknowledged: 3, lost: 0, doubled: 0, refused: 1 };
    expect(balance(writes, { rows: all, counts: even })).to.deep.equal(balanced);
    expect(balance(writes, { rows: [...all, row(1, 0)], counts: even })).to.deep.equal(balanced);
  });

  it('show a row that is missing, one that is there twice, and counts that differ from the rows', () => {
    expect(balance(writes, { rows: all.slice(1), counts: even })).to.include({ lost: 1, doubled: 0 });
    expect(balance(writes, { rows: [row(0, 0, 3), ...all.slice(1)], counts: even })).to.include({
      lost: 0,
      doubled: 2,
    });
    expect(balance(writes, { rows: [...all, row(1, 0, 2)], counts: even })).to.include({ lost: 0, doubled: 1 });
    expect(balance(writes, { rows: all, counts: [{ more: -2 }, { more: 1 }] })).to.include({ lost: 2, doubled: 1 });
  });

  it('have the longest wait of the writes that were under way in a span, and none where nobody wrote', () => {
    expect(longestWait(writes, 140, 165)).to.equal(40);
    expect(longestWait(writes, 151, 165)).to.equal(10);
    expect(() => longestWait(writes, 104, 110)).to.throw('nobody wrote');
  });
});
