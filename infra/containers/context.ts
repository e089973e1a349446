import { readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

/**
 * What is wrong with the directory that an engine may copy from: a Dockerfile with `COPY . .` would put Greenlight's
 * secrets into the image. Undefined if it is not there, or left out by the ignore file.
 */
export function contextProblem(of: {
  context: string;
  dockerfile: string;
  secrets: string;
}): { found: string; todo: string } | undefined {
  const inside = relative(of.context, of.secrets);
  if (inside === '' || inside.startsWith('..')) return undefined;
  const path = inside.split(sep).join('/');
  const files = [
    `${of.dockerfile}.dockerignore`,
    join(of.context, '.containerignore'),
    join(of.context, '.dockerignore'),
  ];
  const rules = files.map((file) => read(file)).find((text) => text !== undefined);
  if (rules !== undefined && leavesOut(rules, path)) return undefined;
  return {
    found: `${of.secrets} is in the directory that the image is built from, and it holds secrets`,
    todo: `add the line ${path} to ${join(of.context, '.dockerignore')}`,
  };
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Whether the last rule that names the directory, one above it, or everything, leaves it out. */
export function leavesOut(rules: string, path: string): boolean {
  const above = path.split('/').map((_, index, parts) => parts.slice(0, index + 1).join('/'));
  let out = false;
  for (const line of rules.split('\n')) {
    const rule = line.trim();
    if (rule === '' || rule.startsWith('#')) continue;
    const taken = rule.startsWith('!');
    const name = rule
      .replace(/^!/, '')
      .replace(/^\.?\//, '')
      .replace(/^\*\*\//, '')
      .replace(/\/(\*\*?)?$/, '');
    const all = name === '*' || name === '**' || name === '.*';
    if (all || above.includes(name) || path.endsWith(`/${name}`)) out = !taken;
  }
  return out;
}
