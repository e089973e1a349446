/**
 * Keeps secrets out of journal, logs, terminal and report. Code that creates or reads a secret registers its value, and
 * every writer passes its text through `redact`. No library does this: they mask known object keys, but a secret has to
 * be found by its value in any text.
 */

/** Minimum length in characters. Shorter values occur by chance in ordinary text. */
const shortest = 6;
const mask = '***';

export interface Redactor {
  /**
   * Masks `value` from now on, also URL-encoded, JSON-escaped, and each of its lines. Ignores values below 6
   * characters.
   */
  register(value: string): void;
  redact(text: string): string;
  /** Returns a copy of plain data in which every string is redacted, keys included. */
  redactDeep<T>(data: T): T;
}

export function createRedactor(): Redactor {
  const forms = new Set<string>();
  let pattern: RegExp | undefined;

  const redact = (text: string): string => {
    if (forms.size === 0) return text;
    // Longest first: a form that contains another one must be masked as a whole.
    pattern ??= new RegExp(
      [...forms]
        .sort((a, b) => b.length - a.length)
        .map((form) => form.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
        .join('|'),
      'g',
    );
    return text.replace(pattern, mask);
  };

  const redactDeep = (data: unknown): unknown => {
    if (typeof data === 'string') return redact(data);
    if (Array.isArray(data)) return data.map(redactDeep);
    if (data === null || typeof data !== 'object') return data;
    return Object.fromEntries(Object.entries(data).map(([key, value]) => [redact(key), redactDeep(value)]));
  };

  return {
    register(value) {
      for (const form of formsOf(value)) if (form.length >= shortest) forms.add(form);
      pattern = undefined;
    },
    redact,
    redactDeep: redactDeep as <T>(data: T) => T,
  };
}

/** The redactor of this program. */
export const secrets: Redactor = createRedactor();

/** The forms of a value in a URL, in JSON (also JSON within JSON), and in a log that is redacted line by line. */
function formsOf(value: string): string[] {
  const lines = value.split(/\r?\n/).filter((line) => line.length >= shortest && !line.startsWith('-----'));
  return [value, ...lines].flatMap((text) => {
    const json = JSON.stringify(text).slice(1, -1);
    const ascii = json.replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
    const url = encodeURIComponent(text.toWellFormed());
    const strictUrl = url.replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
    const form = new URLSearchParams({ '': text }).toString().slice('='.length);
    return [text, json, JSON.stringify(json).slice(1, -1), ascii, url, strictUrl, form, encodeURI(text.toWellFormed())];
  });
}
