import { existsSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { greenlight } from '../../infra/lib/command.ts';
import { messageOf, OperationError } from '../../infra/lib/errors.ts';
import { isInstalled, packageRoot, projectRoot, projectVariable } from '../../infra/lib/paths.ts';
import { openLocalWorkbench, programPath } from '../../infra/local/workbench.ts';
import { collect } from '../check/findings.ts';
import { findHealthPath } from '../check/health.ts';
import { annotate } from '../config/annotate.ts';
import { openPoints } from '../config/open-points.ts';
import { describeIssues } from '../config/problems.ts';
import { definitionName as fileName, givenPath } from '../config/project.ts';
import { knownKeys } from '../config/reflect.ts';
import { releaseDefinition } from '../config/schema.ts';
import { draft, type Draft } from '../detect/definition.ts';
import { detect, type Application } from '../detect/detect.ts';
import { fact } from '../detect/facts.ts';
import { openFolder } from '../detect/folder.ts';
import { usualPaths } from '../detect/health.ts';
import { environmentSpec } from '../release/context/spec.ts';
import { abortOnSignals } from './session.ts';

export interface InitOptions {
  directory: string;
  force?: boolean;
  /** Ask nothing. */
  yes?: boolean;
  /** False: do not start the application. */
  start?: boolean;
  /** Every key with its description, and nothing of the application. */
  all?: boolean;
}

type Print = (text: string) => unknown;

/** The annotated release definition: the reference of every key. `importPath`: module of `defineRelease`. */
export function renderReleaseDefinition(importPath: string): string {
  return [
    `import { defineRelease } from '${importPath}';`,
    '',
    '// Release definition. The settings below are examples: change them. The commented settings show the defaults.',
    'export default defineRelease({',
    ...annotate(releaseDefinition),
    '});',
    '',
  ].join('\n');
}

/**
 * Looks at the application in `directory` and writes a `greenlight.config.ts` for it. Resolves to the exit code. Rejects with an
 * OperationError if there is one and `force` is not set, if nothing is recognised, or if it cannot be written.
 */
export async function runInit(
  options: InitOptions,
  print: Print = (text) => process.stdout.write(`${text}\n`),
): Promise<number> {
  const directory = givenPath(options.directory);
  const path = join(directory, fileName);
  const doing = `writing ${path}`;
  if (existsSync(path) && options.force !== true) {
    const todo = 'nothing was changed; --force overwrites it, --directory writes elsewhere';
    throw new OperationError(doing, 'it exists already', todo);
  }
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new OperationError(doing, 'there is no such folder', `mkdir -p ${directory}`);
  const text =
    options.all === true ? renderReleaseDefinition(importPathFrom(directory)) : await lookAt(directory, options, print);
  try {
    await writeFile(path, text);
  } catch (error) {
    throw new OperationError(doing, messageOf(error), 'choose another --directory', { cause: error });
  }
  print(`Written: ${path}`);
  // The definition at the project's root is read without --config.
  const named = directory === projectRoot() ? [] : ['--config', path];
  const dryRun = greenlight('release', ...named, '--dry-run');
  if (options.all === true) print(`Change the examples in it, then see what a release would do: ${dryRun}`);
  else
    print(
      `Read it, then try it without touching anything: ${greenlight('check', ...named)}\nWhat a release would do: ${dryRun}`,
    );
  return 0;
}

function importPathFrom(directory: string): string {
  if (isInstalled) return 'greenlight';
  const toDefine = relative(directory, join(packageRoot, 'automation', 'config', 'define.ts'))
    .split(sep)
    .join('/');
  return toDefine.startsWith('.') ? toDefine : `./${toDefine}`;
}

/** The text of the definition of what is in `directory`. Prints what was seen and cannot be said in it. */
async function lookAt(directory: string, options: InitOptions, print: Print): Promise<string> {
  const found = detect(openFolder(directory, programPath()));
  const answers = await ask(draft(found, knows), options);
  const application = options.start === false ? found : await askForHealth(directory, found, answers, print);
  const { text, definition, notes } = draft(application, knows, answers);
  if (application.is !== undefined) print(`Found: ${application.is.value} (${application.is.from})`);
  for (const note of notes) print(`Note: ${note}`);
  for (const { path, message } of problemsOf(definition)) print(`To do: ${path}: ${message}`);
  return text;
}

/** Whether the schema has a key, such as `application.workers`. */
const knows = (key: string): boolean => {
  const parts = key.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  return knownKeys(releaseDefinition, parts.slice(0, -1)).includes(String(parts.at(-1)));
};

/** What the validator says of it: what is still to be written, and nothing else unless a value that was found is unusual. */
function problemsOf(definition: unknown): { path: string; message: string }[] {
  const open = openPoints(definition);
  const checked = releaseDefinition.safeParse(definition);
  const issues = checked.success ? [] : describeIssues(releaseDefinition, checked.error.issues, definition);
  return [...open, ...issues.filter(({ path }) => !open.some((point) => point.path === path))];
}

/** Asks on a terminal for what was not found. An empty answer leaves the TODO. */
async function ask({ definition }: Draft, { yes }: InitOptions): Promise<Map<string, string>> {
  const answers = new Map<string, string>();
  const open = openPoints(definition);
  if (open.length === 0 || yes === true || !process.stdin.isTTY || !process.stdout.isTTY) return answers;
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  try {
    for (const { path, message, value } of open) {
      const answer = await lines.question(`${path} ${message}\n(Enter: later) > `);
      if (answer.trim() !== '') answers.set(value, answer.trim());
    }
  } finally {
    lines.close();
  }
  return answers;
}

/** Starts the application as `check` does and asks it which path tells its health. What hinders that is a note, and the guess stays. */
async function askForHealth(
  directory: string,
  application: Application,
  answers: ReadonlyMap<string, string>,
  print: Print,
): Promise<Application> {
  const input = draft(application, knows, answers).definition;
  const checked = releaseDefinition.safeParse(input);
  if (!checked.success || openPoints(input).length > 0) return application;
  const abort = abortOnSignals(() => undefined, 'nothing was written; repeat it', 'looking at the application');
  const project = process.env[projectVariable];
  process.env[projectVariable] = directory;
  try {
    const spec = environmentSpec(checked.data, 'staging');
    const listening = spec.services.map((service) => ({ ...service, health: { tcp: true as const } }));
    const bench = await openLocalWorkbench({ ...spec, services: listening });
    try {
      print('Starting it on a temporary database, to ask for its health path (--no-start leaves that out)');
      const candidates = [...application.health.map(({ value }) => value), ...usualPaths];
      const of = {
        definition: checked.data,
        bench,
        found: collect(() => undefined),
        signal: abort.signal,
        waiting: () => undefined,
      };
      const path = await findHealthPath(of, candidates);
      if (path === undefined) {
        print(`Note: it runs, and none of ${[...new Set(candidates)].join(', ')} answers 200`);
        return application;
      }
      const from = application.health.find(({ value }) => value === path)?.from;
      return { ...application, health: [fact(path, `${from === undefined ? '' : `${from}; `}it answered 200`)] };
    } finally {
      await bench.close();
    }
  } catch (error) {
    abort.signal.throwIfAborted();
    if (!(error instanceof OperationError)) throw error;
    print(`Note: it could not be started to ask for its health path: ${error.doing}: ${error.found}`);
    return application;
  } finally {
    abort.close();
    if (project === undefined) delete process.env[projectVariable];
    else process.env[projectVariable] = project;
  }
}
