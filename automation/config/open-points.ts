import { formatPath, type ConfigProblem } from './problems.ts';

/** A value that is still to be written. */
export interface OpenPoint extends ConfigProblem {
  value: string;
}

/** What `greenlight init` could not find: a text that begins so, with what to write in its place. */
const mark = /^TODO\b:?\s*/;

/** Every value of a definition that is still to be written, with the sentence that stands in its place. */
export function openPoints(input: unknown, path: readonly PropertyKey[] = []): OpenPoint[] {
  if (typeof input === 'string') {
    if (!mark.test(input)) return [];
    const wanted = input.replace(mark, '').trim();
    const message = `is still to be written: ${wanted === '' ? 'it says TODO' : wanted}`;
    return [{ path: formatPath(path), message, value: input }];
  }
  if (Array.isArray(input)) return input.flatMap((item, index) => openPoints(item, [...path, index]));
  if (typeof input !== 'object' || input === null) return [];
  return Object.entries(input).flatMap(([key, value]) => openPoints(value, [...path, key]));
}
