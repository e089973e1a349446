import { expect } from 'chai';
import { Times } from '../../../../../infra/local/workers/times.ts';

const at = (text: string): number => Date.parse(text);

/** The times at which it is due, of a clock that is looked at every `everyMs`. */
function dues(times: Times, from: string, to: string, everyMs = 1_000): string[] {
  const found: string[] = [];
  for (let now = at(from); now < at(to); now += everyMs)
    if (times.due(now, (text) => found.push(text))) found.push(new Date(now).toISOString());
  return found;
}

describe('the times of a schedule', () => {
  it('are those of its expression in its zone', () => {
    const times = new Times({ cron: '30 3 * * *', timeZone: 'Europe/Berlin' });
    expect(dues(times, '2026-01-01T00:00:00Z', '2026-01-03T00:00:00Z')).to.deep.equal([
      '2026-01-01T02:30:00.000Z',
      '2026-01-02T02:30:00.000Z',
    ]);
  });

  it('come once each, however often one looks', () => {
    const times = new Times({ cron: '*/5 * * * *', timeZone: 'UTC' });
    expect(dues(times, '2026-01-01T00:00:01Z', '2026-01-01T00:10:30Z', 100)).to.deep.equal([
      '2026-01-01T00:05:00.000Z',
      '2026-01-01T00:10:00.000Z',
    ]);
  });

  it('are not made up for: neither those of a machine that slept, nor those of another one’s turn', () => {
    const times = new Times({ cron: '0 * * * *', timeZone: 'UTC' });
    expect(times.due(at('2026-01-01T00:30:00Z'), () => undefined)).to.equal(false);
    const missed: string[] = [];
    expect(times.due(at('2026-01-01T03:30:00Z'), (text) => missed.push(text))).to.equal(false);
    expect(missed).to.deep.equal(['the run of 2026-01-01T01:00:00.000Z was missed, and is left out']);
    times.forget();
    expect(times.due(at('2026-01-01T05:00:01Z'), () => undefined)).to.equal(false);
    expect(times.due(at('2026-01-01T06:00:00Z'), () => undefined)).to.equal(true);
  });

  it('on the day on which the clock goes forward skip no day and double none', () => {
    const times = new Times({ cron: '30 2 * * *', timeZone: 'Europe/Berlin' });
    expect(dues(times, '2026-03-28T00:00:00Z', '2026-03-31T00:00:00Z', 60_000)).to.have.length(3);
    const back = new Times({ cron: '30 2 * * *', timeZone: 'Europe/Berlin' });
    expect(dues(back, '2026-10-24T00:00:00Z', '2026-10-27T00:00:00Z', 60_000)).to.have.length(3);
  });
});
