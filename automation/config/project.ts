import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { childEnvironment } from '../../infra/lib/child-environment.ts';
import { home, isInstalled, packageRoot, projectRoot, projectVariable } from '../../infra/lib/paths.ts';

export const definitionName = 'greenlight.config.ts';

/** The caller's folder. `npm run` changes to the project's root and gives it in INIT_CWD. */
const callersFolder = (): string => resolve(process.env['INIT_CWD'] || '.');

/** Resolves a path of the command line. */
export const givenPath = (path: string): string => resolve(callersFolder(), path);

/**
 * Settles which repository the command is about, for this process and those that it starts. `config` is the command line's. In this
 * order: GREENLIGHT_PROJECT; the folder of `config`; the nearest folder with a definition from the caller's upwards; the caller's
 * folder. Called once, before a command.
 */
export function settleProject(config?: string): void {
  const given = process.env[projectVariable];
  const definition = config === undefined ? nearestDefinition() : givenPath(config);
  // A command of Greenlight's own repository is about its sample, wherever the caller is.
  const otherwise = isInstalled ? callersFolder() : packageRoot;
  process.env[projectVariable] = given ? givenPath(given) : definition === undefined ? otherwise : dirname(definition);
}

function nearestDefinition(): string | undefined {
  for (let folder = callersFolder(); ; folder = dirname(folder)) {
    const file = join(folder, definitionName);
    if (existsSync(file)) return file;
    if (folder === dirname(folder)) return undefined;
  }
}

/** Makes `.greenlight/`. The first time, git is told to ignore it; resolves to what to say of that. */
export function makeHome(): string | undefined {
  if (existsSync(home())) return undefined;
  mkdirSync(home(), { recursive: true, mode: 0o700 });
  return ignoreGreenlight(projectRoot());
}

/**
 * Adds `.greenlight/` to the project's .gitignore, where the project is in a git work tree that does not ignore it yet. It holds
 * passwords. Returns a line that says so; undefined where nothing was changed.
 */
export function ignoreGreenlight(root: string): string | undefined {
  if (relative(root, home()) !== '.greenlight' || !git(root, 'rev-parse', '--is-inside-work-tree')) return undefined;
  // With the slash it counts as a directory, even before it exists.
  if (git(root, 'check-ignore', '--quiet', '.greenlight/')) return undefined;
  const file = join(root, '.gitignore');
  const before = existsSync(file) ? readFileSync(file, 'utf8') : '';
  appendFileSync(file, `${before === '' || before.endsWith('\n') ? '' : '\n'}.greenlight/\n`);
  return `Added .greenlight/ to ${file}: it holds passwords, state and reports.`;
}

/** Whether the command of git succeeds. Without git nothing does. */
function git(cwd: string, ...args: string[]): boolean {
  try {
    execFileSync('git', args, { ...childEnvironment(), cwd, stdio: 'ignore', timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}
