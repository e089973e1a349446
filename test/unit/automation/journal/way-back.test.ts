import { expect } from 'chai';
import type { Event, JournalEntry } from '../../../../automation/journal/events.ts';
import { describeGap, openGap, wayBackGap } from '../../../../automation/journal/way-back.ts';

describe('a time without a way back', () => {
  const entries = (...events: Event[]): JournalEntry[] =>
    events.map((event, seq) => ({ ...event, seq, at: `2026-11-30T12:00:0${seq}.000Z`, prev: '' }));
  const remaking = (since: string): Event => ({
    type: 'way-back.remaking',
    colour: 'blue',
    because: 'its disk is gone',
    since: `2026-11-30T11:59:${since}.000Z`,
  });
  const remade: Event = { type: 'way-back.remade', colour: 'blue', ms: 5 };

  it('is none where nothing was lost', () => {
    expect(wayBackGap(entries())).to.equal(undefined);
    expect(openGap(entries())).to.equal(undefined);
  });

  it('begins where it was last seen to go on, also where making it anew was begun again after a crash', () => {
    const open = openGap(entries(remaking('10'), remaking('50')));
    expect(open?.since).to.equal('2026-11-30T11:59:10.000Z');
    expect(open && describeGap(open)).to.equal(
      'none since 30 Nov 2026, 11:59:10 UTC: the database of blue is lost (its disk is gone). It is made anew, as a copy of the live one; a rollback is not possible before',
    );
  });

  it('ends where it exists again, and says on which schema the old version would run', () => {
    const found = entries(remaking('10'), remade);
    expect(openGap(found)).to.equal(undefined);
    const gap = wayBackGap(found);
    expect(gap && describeGap(gap)).to.match(
      /^exists again since 30 Nov 2026, 12:00:01 UTC; there was none from .*11:59:10 UTC on, .* the old version runs on the new schema, on which its tests have passed$/,
    );
  });

  it('is the latest one', () => {
    const found = entries(remaking('10'), remade, remaking('50'));
    expect(openGap(found)?.since).to.equal('2026-11-30T11:59:50.000Z');
  });
});
