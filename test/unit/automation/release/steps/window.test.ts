import { expect } from 'chai';
import { minutesOpen } from '../../../../../automation/release/steps/window.ts';

const berlin = { timeZone: 'Europe/Berlin' } as const;
const workNights = { ...berlin, days: ['mon', 'tue', 'wed', 'thu', 'fri'] as const, from: '22:00', to: '05:00' };
const asWindow = (w: { days: readonly string[]; from: string; to: string; timeZone: string }) =>
  ({ ...w, days: [...w.days] }) as Parameters<typeof minutesOpen>[0];

describe('release window', () => {
  it('is open within the hours of one of its days, in its own time zone', () => {
    const lunch = asWindow({ days: ['wed'], from: '12:00', to: '13:00', timeZone: 'America/New_York' });
    // 17:30 UTC is 12:30 in New York in November.
    expect(minutesOpen(lunch, new Date('2026-11-18T17:30:00Z'))).to.equal(30);
    expect(minutesOpen(lunch, new Date('2026-11-18T12:30:00Z'))).to.equal(0);
    expect(minutesOpen(lunch, new Date('2026-11-19T17:30:00Z'))).to.equal(0);
  });

  it('runs past midnight and belongs to the day on which it began', () => {
    const window = asWindow(workNights);
    // Friday 23:00 in Berlin, then Saturday 04:00, then Saturday 23:00, then Monday 04:00 (begun on a Sunday: closed).
    expect(minutesOpen(window, new Date('2026-11-20T22:00:00Z'))).to.equal(360);
    expect(minutesOpen(window, new Date('2026-11-21T03:00:00Z'))).to.equal(60);
    expect(minutesOpen(window, new Date('2026-11-21T22:00:00Z'))).to.equal(0);
    expect(minutesOpen(window, new Date('2026-11-23T03:00:00Z'))).to.equal(0);
  });

  it('ends at its end', () => {
    const window = asWindow(workNights);
    expect(minutesOpen(window, new Date('2026-11-21T03:59:00Z'))).to.equal(1);
    expect(minutesOpen(window, new Date('2026-11-21T04:00:00Z'))).to.equal(0);
  });
});
