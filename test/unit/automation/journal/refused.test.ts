import { expect } from 'chai';
import type { Event, JournalEntry } from '../../../../automation/journal/events.ts';
import { refusedWindows } from '../../../../automation/journal/refused.ts';

const base = Date.parse('2026-11-30T12:00:00.000Z');

describe('times in which writes were refused', () => {
  /** Each a second after the one before it. */
  const entries = (...events: Event[]): JournalEntry[] =>
    events.map((event, seq) => ({ ...event, seq, at: new Date(base + seq * 1000).toISOString(), prev: '' }));
  const refused = (from: number, to?: number): Event => ({
    type: 'writes.refused',
    from,
    ...(to === undefined ? {} : { to }),
  });
  const resumed: Event = { type: 'release.resumed', found: 'a window', decision: 'it is undone' };
  const note: Event = { type: 'note', level: 'info', text: 'something else' };

  it('are none where nothing was refused', () => {
    expect(refusedWindows(entries(note, resumed))).to.deep.equal([]);
  });

  it('are one from its two entries, and several in their order', () => {
    const found = entries(refused(5), note, refused(5, 40), refused(90), refused(90, 100));
    expect(refusedWindows(found)).to.deep.equal([
      { from: 5, to: 40 },
      { from: 90, to: 100 },
    ]);
  });

  it('end when the release was resumed, where the program died meanwhile', () => {
    const found = entries(refused(base), note, resumed, note, resumed);
    expect(refusedWindows(found)).to.deep.equal([{ from: base, to: base + 2000 }]);
  });

  it('end when the resumed release says so, if it does', () => {
    const found = entries(refused(base), resumed, refused(base, base + 500));
    expect(refusedWindows(found)).to.deep.equal([{ from: base, to: base + 500 }]);
  });

  it('are not ended by a resumption before them, nor changed by one after their end', () => {
    const found = entries(resumed, refused(base), refused(base, base + 70), resumed);
    expect(refusedWindows(found)).to.deep.equal([{ from: base, to: base + 70 }]);
  });

  it('last as long as a window can where nothing is known of their end', () => {
    expect(refusedWindows(entries(refused(base), note))).to.deep.equal([{ from: base, to: base + 3_600_000 }]);
  });
});
