import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { below, forbidden, importsOf } from './imports.js';

/** Shortest way by imports from `start` back to `goal`, both included; undefined where there is none. */
function wayBack(root, start, goal, read) {
  const before = new Map([[start, undefined]]);
  for (const file of before.keys()) {
    for (const next of read(file)) {
      if (next === goal) {
        const way = [goal];
        for (let at = file; at !== undefined; at = before.get(at)) way.unshift(at);
        return way;
      }
      if (!before.has(next)) before.set(next, file);
    }
  }
  return undefined;
}

const known = new Map();

/** Targets of a file's imports, read from disk once per run. */
function targetsOnDisk(root, file) {
  const key = join(root, file);
  if (!known.has(key)) {
    let targets = [];
    try {
      targets = importsOf(root, file, readFileSync(key, 'utf8')).map(({ to }) => to);
    } catch {
      // A file that is not there is the compiler's business.
    }
    known.set(key, targets);
  }
  return known.get(key);
}

/**
 * Each import goes where lint/layout.js allows, and no files import each other in a circle. Imports of types count: who
 * needs another folder's types cannot be read, or changed, without it.
 */
export const imports = {
  meta: { type: 'problem', schema: [], messages: { forbidden: '{{why}}', circle: 'imports in a circle: {{way}}' } },
  create(context) {
    const root = context.settings.layoutRoot ?? context.cwd;
    const file = below(root, context.filename);
    const { text } = context.sourceCode;
    return {
      Program() {
        for (const { to, from, end } of importsOf(root, file, text)) {
          const loc = { start: context.sourceCode.getLocFromIndex(from), end: context.sourceCode.getLocFromIndex(end) };
          const why = forbidden(file, to);
          if (why !== undefined) context.report({ loc, messageId: 'forbidden', data: { why } });
          const way = wayBack(root, to, file, (at) => targetsOnDisk(root, at));
          if (way !== undefined)
            context.report({ loc, messageId: 'circle', data: { way: [file, ...way].join(' -> ') } });
        }
      },
    };
  },
};
