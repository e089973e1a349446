import { readFileSync } from 'node:fs';
import { dirname, join, normalize, relative, sep } from 'node:path';
import ts from 'typescript';
import { layout } from './layout.js';

/** What a project file imports, types included: paths below `root`, each with where it stands in the text. */
export function importsOf(root, file, text = readFileSync(join(root, file), 'utf8')) {
  return ts.preProcessFile(text, true, true).importedFiles.flatMap(({ fileName, pos }) =>
    // The position is that of the opening quote.
    fileName.startsWith('.')
      ? [{ to: normalize(join(dirname(file), fileName)), from: pos, end: pos + fileName.length + 2 }]
      : [],
  );
}

/** The innermost folder of the layout that a file is in; undefined where there is none: tests, scripts. */
export function folderOf(file) {
  for (let path = file; path !== '.'; path = dirname(path)) if (path in layout) return path;
  return undefined;
}

/** Whether the layout must say where a file belongs: `automation/new/x.ts` needs a line for `automation/new`. */
export const mustHaveFolder = (file) => /^(infra|automation)\//.test(file);

/** Why `from` may not import `to`; undefined where it may. */
export function forbidden(from, to) {
  const [here, there] = [folderOf(from), folderOf(to)];
  if (here === undefined)
    return mustHaveFolder(from)
      ? `${dirname(from)} is not in lint/layout.js: add \`{ is, may }\` after the folders that it imports`
      : undefined;
  if (here === there || layout[here].may.includes(there)) return undefined;
  const target = there ?? to.split('/')[0];
  const what = there === undefined ? 'outside the product' : layout[there].is;
  const may = layout[here].may.join(', ');
  const instead =
    may === ''
      ? 'It may import nothing. Pass what it needs as a parameter'
      : `It may import only ${may}. Move the shared part down into one of these, or pass it as a parameter`;
  return `${here} (${layout[here].is}) may not import ${target} (${what}). ${instead}; a new arrow is a line in lint/layout.js, for review.`;
}

/** Groups of two or more names that reach each other, by Tarjan's algorithm. `edges`: name -> names. */
export function circles(edges) {
  const index = new Map();
  const low = new Map();
  const stack = [];
  const found = [];
  const visit = (name) => {
    index.set(name, index.size);
    low.set(name, index.get(name));
    stack.push(name);
    for (const next of edges.get(name) ?? []) {
      if (!index.has(next)) visit(next);
      if (stack.includes(next)) low.set(name, Math.min(low.get(name), low.get(next)));
    }
    if (low.get(name) !== index.get(name)) return;
    const group = stack.splice(stack.indexOf(name));
    if (group.length > 1) found.push(group);
  };
  for (const name of edges.keys()) if (!index.has(name)) visit(name);
  return found;
}

/** Path of `file` below `root`, with `/`. */
export const below = (root, file) => relative(root, file).split(sep).join('/');
