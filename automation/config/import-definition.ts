import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';
import { ownProgram } from '../../infra/lib/paths.ts';

const define = pathToFileURL(ownProgram(import.meta.dirname, 'define')).href;

/** The definition that was imported last, with every TypeScript file that it imports. */
const ofDefinition = new Set<string>();
let hooked = false;

/**
 * Imports a release definition. `greenlight` in it is this package, even where the project has not installed it. It is an ECMAScript
 * module whatever the project's package.json says: that of `npm init` says `commonjs`.
 */
export async function importDefinition(file: string): Promise<Record<string, unknown>> {
  if (!hooked) registerHooks({ resolve: resolveForDefinition });
  hooked = true;
  // The hash of the content makes Node load a changed file again instead of returning the cached module.
  const content = createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 16);
  const url = `${pathToFileURL(file).href}?${content}`;
  ofDefinition.add(url);
  return (await import(url)) as Record<string, unknown>;
}

const resolveForDefinition: Parameters<typeof registerHooks>[0]['resolve'] = (specifier, context, next) => {
  if (specifier === 'greenlight') return { url: define, shortCircuit: true };
  const found = next(specifier, context);
  const isOurs = ofDefinition.has(found.url) || ofDefinition.has(context.parentURL ?? '');
  if (!isOurs || !/\.ts(\?|$)/.test(found.url)) return found;
  ofDefinition.add(found.url);
  return { ...found, format: 'module-typescript' };
};
