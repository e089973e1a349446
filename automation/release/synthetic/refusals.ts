import type { EnvironmentSpec } from '../../../infra/model.ts';
import type { RefusedWindow } from '../../journal/refused.ts';

/** When writes were refused, as was announced, and which requests are writes. */
export interface Refusals {
  windows: readonly RefusedWindow[];
  writes: EnvironmentSpec['writes'];
}

/** A refused write is answered at once. A client that is out of breath may note the answer this much later, milliseconds. */
const mostMs = 2_000;

/**
 * Whether a failed request, as a script logged it, was refused as announced: a write, answered 503 by no colour in one of those
 * times. The script may note the beginning or the end of the request.
 */
export function wasRefused(entry: Record<string, unknown>, { windows, writes }: Refusals): boolean {
  const { status, method, url, at, colour = 'none' } = entry;
  if (status !== 503 || colour !== 'none' || !isWrite(String(method), String(url), writes)) return false;
  const slack = Math.min(mostMs, Number(entry['ms']) || 0);
  return windows.some(({ from, to }) => Number(at) + slack >= from && Number(at) - slack <= to);
}

function isWrite(method: string, url: string, { reads, paths }: Refusals['writes']): boolean {
  const path = URL.parse(url, 'http://entry')?.pathname ?? '';
  return !reads.includes(method) || paths.some((prefix) => path.startsWith(prefix));
}
