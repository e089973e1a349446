/** Numbers for people: the same in report and terminal. English, UTC, so that two readers see the same text. */

const count = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 });

export const formatCount = (n: number): string => count.format(n);

/** `0.7 ms`, `143 ms`, `2.4 s`, `3 min 12 s`, `1 h 04 min`. */
export function formatDuration(ms: number): string {
  if (ms < 10) return `${fine.format(ms)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${fine.format(ms / 1000)} s`;
  const seconds = Math.round(ms / 1000);
  const two = (n: number): string => String(n).padStart(2, '0');
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

/** The longest time for which writes were held. One that nobody measured may have been longer than those that were. */
export function formatHold({ maxMs, unmeasured }: { maxMs: number | null; unmeasured: number }): string {
  if (unmeasured === 0) return maxMs === null ? 'none' : formatDuration(maxMs);
  return maxMs === null ? 'not measured' : `not measured, at least ${formatDuration(maxMs)}`;
}

/** For how long a read-only window refused writes. `done`: whether it has moved them. */
export const formatRefused = (refusedMs: number | null, done: boolean): string =>
  refusedMs !== null ? formatDuration(refusedMs) : done ? 'not measured' : 'none';

/** `12 B`, `3.4 MB`: powers of 1,000. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  return `${fine.format(bytes / 1000 ** power)} ${units[power]}`;
}

export const formatPercent = (percent: number): string => `${fine.format(percent)} %`;

/** `21 Nov 2026, 05:55:03 UTC`. */
export function formatTime(iso: string): string {
  const date = new Date(iso);
  const day = date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' });
  return `${day}, ${formatClock(iso)} UTC`;
}

/** `05:55:03`, UTC. */
export const formatClock = (iso: string): string => new Date(iso).toISOString().slice(11, 19);

/** `1 gate`, `3 gates`. */
export const plural = (n: number, noun: string): string => `${formatCount(n)} ${noun}${n === 1 ? '' : 's'}`;
