import type { Fact } from './facts.ts';

/** A value of a definition, in which any part may say from what it follows. */
export type Noted = string | number | boolean | Fact<Noted> | Name | readonly Noted[] | Group;

/** Members of an object; those that are undefined are left out. */
export interface Group {
  readonly [key: string]: Noted | undefined;
}

/** The name of a constant of the file, and its value. */
export class Name {
  readonly text: string;
  readonly value: Noted;

  constructor(text: string, value: Noted) {
    this.text = text;
    this.value = value;
  }
}

/** Columns of a line, as Prettier is configured here. */
const width = 120;

const isObject = (value: Noted): value is Group =>
  typeof value === 'object' && !Array.isArray(value) && !(value instanceof Name);
const isFact = (value: Noted): value is Fact<Noted> =>
  isObject(value) && Object.keys(value).length === 2 && 'value' in value && 'from' in value;
const isList = (value: Noted): value is readonly Noted[] => Array.isArray(value);

/** The value without its notes: what the file exports. */
export function plain(value: Noted): unknown {
  if (isFact(value) || value instanceof Name) return plain(value.value);
  if (isList(value)) return value.map(plain);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inside]) => (inside === undefined ? [] : [[key, plain(inside)]])),
  );
}

/** A constant of the file: several places name it. */
export const constant = ({ text, value }: Name): string[] =>
  entry(`const ${text} = `, value, '').map((line, at, all) =>
    at === all.length - 1 ? line.replace(/,(?=$| \/\/)/, ';') : line,
  );

/** The members of an object as lines, as Prettier formats them: single quotes, short groups on one line. */
export function members(of: Group, indent: string): string[] {
  return Object.entries(of).flatMap(([key, value]) =>
    value === undefined
      ? []
      : value instanceof Name && value.text === key
        ? [`${indent}${key},`]
        : entry(`${indent}${nameOf(key)}: `, value, indent),
  );
}

function entry(head: string, value: Noted, indent: string): string[] {
  const { note, bare } = together(value);
  const short = inline(bare);
  if (short !== undefined && head.length + short.length + 1 <= width) {
    const line = `${head}${short},`;
    return withNote(line, note, indent);
  }
  const [open, inside, close] = isList(bare)
    ? ['[', bare.flatMap((item) => entry(`${indent}  `, item, `${indent}  `)), ']']
    : isObject(bare)
      ? ['{', members(bare, `${indent}  `), '}']
      : [String(short), [], ''];
  if (inside.length === 0 && typeof bare === 'string' && head.trim() !== '')
    return [...comment(note, indent), head.trimEnd(), `${indent}  ${open},`];
  if (inside.length === 0) return withNote(`${head}${open}${close},`, note, indent);
  return [...comment(note, indent), `${head}${open}`, ...inside, `${indent}${close},`];
}

/** The note of a value, and the value without it. What all members of a group follow from is said once. */
function together(value: Noted): { note: string; bare: Noted } {
  if (isFact(value)) return { note: value.from, bare: value.value };
  if (!isObject(value)) return { note: '', bare: value };
  const inside = Object.entries(value).filter(([, one]) => one !== undefined) as [string, Noted][];
  const notes = new Set(inside.map(([, one]) => (isFact(one) ? one.from : undefined)));
  const [only] = notes;
  if (notes.size !== 1 || only === undefined) return { note: '', bare: value };
  return { note: only, bare: Object.fromEntries(inside.map(([key, one]) => [key, (one as Fact<Noted>).value])) };
}

/** A note stands behind what it is about where it fits there, and else before it. */
function withNote(line: string, note: string, indent: string): string[] {
  if (note === '') return [line];
  const behind = `${line} // ${note}`;
  return behind.length <= width ? [behind] : [...comment(note, indent), line];
}

function comment(note: string, indent: string): string[] {
  return note === '' ? [] : [`${indent}// ${note}`];
}

/** On one line; undefined where a part has a note of its own, or where it is a list of groups. */
function inline(value: Noted): string | undefined {
  if (isFact(value)) return undefined;
  if (value instanceof Name) return value.text;
  if (typeof value === 'string') return quoted(value);
  if (isList(value)) {
    // Of several groups each has a line of its own.
    if (value.length > 1 && value.every(isGroup)) return undefined;
    const parts = value.map(inline);
    return parts.includes(undefined) ? undefined : `[${parts.join(', ')}]`;
  }
  if (!isObject(value)) return String(value);
  const parts = Object.entries(value).flatMap(([key, inside]) => {
    if (inside === undefined) return [];
    const text = inline(inside);
    if (inside instanceof Name && inside.text === key) return [key];
    return [text === undefined ? undefined : `${nameOf(key)}: ${text}`];
  });
  if (parts.includes(undefined)) return undefined;
  return parts.length === 0 ? '{}' : `{ ${parts.join(', ')} }`;
}

const isGroup = (value: Noted): boolean =>
  (isObject(value) && Object.keys(value).length > 1) || (isList(value) && value.length > 1);

const nameOf = (key: string): string => (/^[A-Za-z_$][\w$]*$/.test(key) ? key : quoted(key));

/** As Prettier quotes: the quote that needs fewer escapes, single where both need as many. */
function quoted(text: string): string {
  const escaped = JSON.stringify(text).slice(1, -1);
  const [single, double] = [text.split("'").length, text.split('"').length];
  return single > double ? `"${escaped}"` : `'${escaped.replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
}
