import type { ReleaseDefinition } from '../../config/schema.ts';

type Window = NonNullable<ReleaseDefinition['window']>;
const dayNames = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
const minutesPerDay = 24 * 60;

/**
 * Minutes that a release window is still open at `now` (in the window's own time zone); 0 when it is closed. A window
 * whose end is before its start runs past midnight and belongs to the day on which it began. On the two days a year
 * when clocks change, the remaining time is off by that change at most.
 */
export function minutesOpen(window: Window, now: Date): number {
  const parts = new Intl.DateTimeFormat('en-GB', {
    timeZone: window.timeZone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).formatToParts(now);
  const part = (type: string) => parts.find((p) => p.type === type)?.value ?? '';
  const day = dayNames.indexOf(part('weekday').toLowerCase() as (typeof dayNames)[number]);
  const minute = Number(part('hour')) * 60 + Number(part('minute'));
  const [from, to] = [minutesOf(window.from), minutesOf(window.to)];
  const isOn = (index: number) => window.days.some((d) => d === dayNames[(index + 7) % 7]);

  if (from < to) return isOn(day) && minute >= from && minute < to ? to - minute : 0;
  if (isOn(day) && minute >= from) return minutesPerDay - minute + to;
  if (isOn(day - 1) && minute < to) return to - minute;
  return 0;
}

/** For a person: `mon, tue 22:00-05:00 Europe/Berlin`. */
export const describeWindow = (w: Window): string => `${w.days.join(', ')} ${w.from}-${w.to} ${w.timeZone}`;

function minutesOf(time: string): number {
  const [hours, minutes] = time.split(':').map(Number);
  return (hours ?? 0) * 60 + (minutes ?? 0);
}
