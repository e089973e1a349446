import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { draftFile, move, replaceFile } from '../../lib/atomic-file.ts';
import { OperationError } from '../../lib/errors.ts';
import { colours, type Split } from '../../model.ts';

/** File in the balancer's directory, and its name in the runtime API. */
export const trafficMap = 'traffic.map';

/** Content of the map. Each has an entry of its own, so that each changes atomically. */
export interface TrafficState {
  split: Split | undefined;
  /** When the write hold ends, ms since the epoch. 0: no hold. */
  holdUntil: number;
  /** When the refusal of writes ends, ms since the epoch. 0: none. */
  refuseUntil: number;
}

/** What each entry of the map says of a state. */
export const trafficEntries = {
  split: ({ split }: TrafficState): string => splitValue(split),
  hold: ({ holdUntil }: TrafficState): string => String(holdUntil),
  refuse: ({ refuseUntil }: TrafficState): string => String(refuseUntil),
};
export type TrafficEntry = keyof typeof trafficEntries;

export function renderTrafficMap(state: TrafficState): string {
  return Object.entries(trafficEntries)
    .map(([key, valueOf]) => `${key} ${valueOf(state)}\n`)
    .join('');
}

/** `blue:10`, or `none`. */
export const splitValue = (split: Split | undefined): string => (split ? `${split.live}:${split.percent}` : 'none');

/**
 * The map on disk in the balancer's `directory`. Undefined if there is no file. Rejects with an Error that says what is
 * wrong with the file.
 */
export async function storedTraffic(directory: string): Promise<TrafficState | undefined> {
  const text = await readFile(join(directory, trafficMap), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const lines = text.split('\n').map((line) => /^(\S+) (.*)$/.exec(line));
  return parseTrafficMap(new Map(lines.flatMap((line) => (line === null ? [] : [[line[1] ?? '', line[2] ?? '']]))));
}

/** A content of the map that is on disk and not in place yet. */
export interface Draft {
  text: string;
  path: string;
}

export async function draftTraffic(directory: string, state: TrafficState): Promise<Draft> {
  const text = renderTrafficMap(state);
  const file = join(directory, trafficMap);
  return { text, path: await draftFile(file, text).catch(notWritten(file)) };
}

export const dropDraft = (draft: Draft | undefined): Promise<void> =>
  draft === undefined ? Promise.resolve() : rm(draft.path, { force: true });

/** Writes the map that the balancer reads when it starts. A draft of that content is put in its place, and another one removed. */
export async function storeTraffic(directory: string, state: TrafficState, draft?: Draft): Promise<void> {
  const file = join(directory, trafficMap);
  const text = renderTrafficMap(state);
  const fits = draft?.text === text;
  await (fits ? move(draft.path, file) : replaceFile(file, text)).catch(notWritten(file));
  if (!fits) await dropDraft(draft);
}

const notWritten = (file: string) => (error: Error) => {
  throw new OperationError('writing the traffic map', error.message, `make ${file} writable`, { cause: error });
};

/** Parses the entries of the map. Throws an Error that says what is wrong with them. */
export function parseTrafficMap(entries: ReadonlyMap<string, string>): TrafficState {
  const split = entries.get('split');
  const hold = entries.get('hold');
  if (split === undefined || hold === undefined) throw new Error('the traffic map lacks "split" or "hold"');
  // A map of an earlier version has no such entry.
  const refuse = entries.get('refuse') ?? '0';
  return { split: parseSplit(split), holdUntil: parseTime('hold', hold), refuseUntil: parseTime('refuse', refuse) };
}

function parseTime(key: TrafficEntry, value: string): number {
  if (/^\d{1,15}$/.test(value)) return Number(value);
  throw new Error(`the traffic map has the ${key} "${value}", which is not a time in milliseconds`);
}

function parseSplit(value: string): Split | undefined {
  if (value === 'none') return undefined;
  const [name, percent, ...rest] = value.split(':');
  const live = colours.find((colour) => colour === name);
  if (live === undefined || rest.length > 0 || !isPercent(Number(percent)) || percent === '') {
    throw new Error(`the traffic map has the invalid split "${value}"`);
  }
  return { live, percent: Number(percent) };
}

/** Whole, because the percent is compared with slots, which are whole numbers. */
export const isPercent = (value: number): boolean => Number.isInteger(value) && value >= 0 && value <= 100;
