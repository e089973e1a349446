import type { Folder } from './folder.ts';

/** Small readings that several detectors share. */

/** The first file that `test` accepts. */
export const find = (folder: Folder, test: RegExp): string | undefined => folder.files.find((file) => test.test(file));
export const has = (folder: Folder, file: string): boolean => folder.files.includes(file);

/** The first match of `pattern` in the files that `which` accepts, with the file. */
export function grep(
  folder: Folder,
  which: RegExp,
  pattern: RegExp,
): { file: string; match: RegExpExecArray } | undefined {
  for (const file of folder.files) {
    if (!which.test(file)) continue;
    const match = pattern.exec(folder.read(file) ?? '');
    if (match !== null) return { file, match };
  }
  return undefined;
}

/** Source files of an application, without its tests, examples and documents. */
export const source =
  /^(?!.*(^|\/)(tests?|__tests__|spec|docs?|examples?|fixtures)\/).*\.(c?[jt]s|mjs|mts|tsx|jsx|py|rb|go|java|kt|php)$/;

/** A text as a name of the definition: lower case, digits, hyphens. */
export const asName = (text: string): string =>
  text
    .toLowerCase()
    .replace(/^@[^/]*\//, '')
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+|-+$/g, '')
    .slice(0, 31)
    .replace(/-+$/, '');

/** A version of a tag or a manifest as the definition takes it; undefined if it is none. */
export function asVersion(text: string | undefined): string | undefined {
  const found = /^[^\d]{0,12}?(\d+)\.(\d+)(?:\.(\d+))?(-[0-9A-Za-z.-]+)?$/.exec(text ?? '');
  return found === null ? undefined : `${found[1]}.${found[2]}.${found[3] ?? '0'}${found[4] ?? ''}`;
}

/** What a shell has to read: an argument list cannot say it. */
const needsShell = /[|&;<>()$`"'*?~#\n]|^\w+=/;

/**
 * A command line as an argument list: split at spaces where that is all it says, or else by a shell that is replaced by the
 * program, so that it gets the signals.
 */
export function argvOf(line: string): string[] {
  const text = line.trim();
  if (!needsShell.test(text)) return text.split(/\s+/);
  const simple = !/[|&;\n]/.test(text);
  return ['sh', '-c', simple ? `exec ${/^\w+=/.test(text) ? `env ${text}` : text}` : text];
}
