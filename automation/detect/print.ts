import type { Fact } from './facts.ts';

/** A value of a definition, in which any part may say from what it follows. */
export type Noted =
  string | number | boolean | Fact<Noted> | readonly Noted[] | { readonly [key: string]: Noted | undefined };

/** Columns of a line, as Prettier is configured here. */
const width = 120;

const isObject = (value: Noted): value is { readonly [key: string]: Noted | undefined } =>
  typeof value === 'object' && !Array.isArray(value);
const isFact = (value: Noted): value is Fact<Noted> =>
  isObject(value) && Object.keys(value).length === 2 && 'value' in value && 'from' in value;
const isList = (value: Noted): value is readonly Noted[] => Array.isArray(value);

/** The value without its notes: what the file exports. */
export function plain(value: Noted): unknown {
  if (isFact(value)) return plain(value.value);
  if (isList(value)) return value.map(plain);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inside]) => (inside === undefined ? [] : [[key, plain(inside)]])),
  );
}

/** The members of an object as lines, as Prettier formats them: single quotes, short groups on one line. */
export function members(of: { readonly [key: string]: Noted | undefined }, indent: string): string[] {
  return Object.entries(of).flatMap(([key, value]) =>
    value === undefined ? [] : entry(`${indent}${nameOf(key)}: `, value, indent),
  );
}

function entry(head: string, value: Noted, indent: string): string[] {
  const note = isFact(value) ? value.from : '';
  const bare = isFact(value) ? value.value : value;
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
  if (inside.length === 0) return withNote(`${head}${open}${close},`, note, indent);
  return [...comment(note, indent), `${head}${open}`, ...inside, `${indent}${close},`];
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
  if (typeof value === 'string') return quoted(value);
  if (isList(value)) {
    if (value.some((item) => isObject(item) && !isFact(item)) && value.length > 0 && !value.every(isSmall))
      return undefined;
    const parts = value.map(inline);
    return parts.includes(undefined) ? undefined : `[${parts.join(', ')}]`;
  }
  if (!isObject(value)) return String(value);
  const parts = Object.entries(value).flatMap(([key, inside]) => {
    if (inside === undefined) return [];
    const text = inline(inside);
    return [text === undefined ? undefined : `${nameOf(key)}: ${text}`];
  });
  if (parts.includes(undefined)) return undefined;
  return parts.length === 0 ? '{}' : `{ ${parts.join(', ')} }`;
}

const isSmall = (value: Noted): boolean => (inline(value)?.length ?? Infinity) <= 60;

const nameOf = (key: string): string => (/^[A-Za-z_$][\w$]*$/.test(key) ? key : quoted(key));

/** As Prettier quotes: the quote that needs fewer escapes, single where both need as many. */
function quoted(text: string): string {
  const escaped = JSON.stringify(text).slice(1, -1);
  const [single, double] = [text.split("'").length, text.split('"').length];
  return single > double ? `"${escaped}"` : `'${escaped.replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
}
