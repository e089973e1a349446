import { existsSync, statSync } from 'node:fs';
import { basename, isAbsolute, join, relative, resolve } from 'node:path';
import { greenlight } from '../../infra/lib/command.ts';
import { OperationError } from '../../infra/lib/errors.ts';
import { didYouMean } from '../../infra/lib/nearest.ts';
import { projectRoot } from '../../infra/lib/paths.ts';
import { platformNames } from '../../infra/model.ts';
import { importDefinition } from './import-definition.ts';
import { openPoints } from './open-points.ts';
import { describeIssues, type ConfigProblem } from './problems.ts';
import { definitionName, givenPath } from './project.ts';
import { filesOf } from './platforms.ts';
import { releaseDefinition, type ReleaseDefinition } from './schema.ts';

/** Ids of the gates of a definition's releases. Waivers may name only these. */
export type KnownGates = (definition: ReleaseDefinition) => string[];

/** A release definition that cannot be used. `problems` has all problems. */
export class ConfigError extends OperationError {
  readonly problems: readonly ConfigProblem[];

  constructor(path: string, problems: readonly ConfigProblem[], options?: ErrorOptions) {
    const lines = problems.map(({ path: at, message }) => `\n  ${at === '' ? '' : `${at}: `}${message}`).join('');
    const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
    const todo = 'Nothing was changed. Correct this, then run it again.';
    super(`reading ${relativeName(path)}`, `${count}${lines}`, todo, options);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** A path below `folder`, the working directory by default, without it. */
const relativeName = (path: string, folder = '.'): string => {
  const inside = relative(folder, path);
  return inside.startsWith('..') ? path : inside;
};

/**
 * Loads and checks a release definition: `greenlight.config.ts` at the project's root, or `path`, relative to the
 * caller's folder. `platform` replaces the definition's. Rejects with a ConfigError that lists every problem, or with
 * an OperationError for an unknown platform.
 */
export async function loadRelease(gates: KnownGates, path?: string, platform?: string): Promise<ReleaseDefinition> {
  const file = path === undefined ? join(projectRoot(), definitionName) : givenPath(path);
  if (platform !== undefined && !platformNames.some((known) => known === platform))
    throw new OperationError(
      'reading the command line',
      `there is no platform "${platform}"${didYouMean(platform, platformNames)}`,
      `choose one: --platform ${platformNames.join(', --platform ')}`,
    );
  const input = onPlatform(await importDefault(file), platform);
  return checkRelease(file, input, gates);
}

const onPlatform = (input: unknown, platform: string | undefined): unknown =>
  platform === undefined || typeof input !== 'object' ? input : { ...input, platform };

/** Checks a definition that is already loaded. `file` is named in messages. Throws a ConfigError. */
export function checkRelease(file: string, input: unknown, gates: KnownGates): ReleaseDefinition {
  const open = openPoints(input);
  const checked = releaseDefinition.safeParse(input);
  const issues = checked.success ? [] : describeIssues(releaseDefinition, checked.error.issues, input);
  // What is still to be written breaks the rules of its key, too: that says nothing more.
  const others = issues.filter(({ path }) => !open.some((point) => point.path === path));
  if (!checked.success || open.length > 0) throw new ConfigError(file, [...open, ...others]);
  const problems = [...missingFiles(checked.data), ...unknownGates(checked.data, gates(checked.data))];
  if (problems.length > 0) throw new ConfigError(file, problems);
  return checked.data;
}

/** Missing files that a release reads from the project. Files of the artefact exist only after the build. */
function missingFiles(definition: ReleaseDefinition): ConfigProblem[] {
  const files: [string, string | undefined][] = [
    ['load.script', definition.load.script],
    ['synthetic.script', definition.synthetic.script],
    ...filesOf(definition),
  ];
  return files.flatMap(([path, name]) => {
    if (name === undefined || existsSync(resolve(projectRoot(), name))) return [];
    return [
      {
        path,
        message: `found "${relativeName(resolve(projectRoot(), name), projectRoot())}", but the project has no such file; write it or correct the path`,
      },
    ];
  });
}

/** Waivers of gates that do not exist. Otherwise a typing error would only show when the gate stops a release. */
function unknownGates({ waivers }: ReleaseDefinition, known: readonly string[]): ConfigProblem[] {
  return waivers.flatMap(({ gate }, index) => {
    if (known.includes(gate)) return [];
    const hint = didYouMean(gate, known) || `; the gates are ${known.join(', ')}`;
    return [{ path: `waivers[${index}].gate`, message: `found "${gate}", but there is no such gate${hint}` }];
  });
}

async function importDefault(file: string): Promise<unknown> {
  if (!existsSync(file)) {
    const message = `there is no such file; "${greenlight('init')}" writes one, --config names another one`;
    throw new ConfigError(file, [{ path: '', message }]);
  }
  if (!statSync(file).isFile())
    throw new ConfigError(file, [{ path: '', message: 'it is not a file; give the path of one' }]);
  let module: Record<string, unknown>;
  try {
    module = await importDefinition(file);
  } catch (error) {
    throw new ConfigError(file, [whyNotLoaded(file, error)], { cause: error });
  }
  if (module['default'] === undefined) {
    const named = Object.keys(module);
    const found = named.length === 0 ? 'it exports nothing' : `it exports ${named.join(', ')}, but no default`;
    throw new ConfigError(file, [{ path: '', message: `${found}; begin it with: export default defineRelease({` }]);
  }
  return module['default'];
}

/** Why the file could not be imported, with the line if known, without the stack trace. */
function whyNotLoaded(file: string, error: unknown): ConfigProblem {
  if (!(error instanceof Error)) return { path: '', message: `it threw ${JSON.stringify(error)}` };
  const trace = error.stack ?? '';
  const at = trace.indexOf(basename(file));
  const line = at === -1 ? undefined : /^[^\n]*?:(\d+)/.exec(trace.slice(at))?.[1];
  const where = line === undefined ? '' : `line ${line}`;
  const code = 'code' in error ? String(error.code) : '';
  const text = (error.message.split('\n').find((part) => part.trim() !== '') ?? error.name).trim();
  const isSyntax =
    error instanceof SyntaxError ||
    code.startsWith('ERR_INVALID_TYPESCRIPT') ||
    code.startsWith('ERR_UNSUPPORTED_TYPESCRIPT');
  if (isSyntax) return { path: where, message: `it is not valid TypeScript: ${text}` };
  if (code === 'ERR_MODULE_NOT_FOUND') {
    const wanted = /'([^']+)'/.exec(text)?.[1] ?? text;
    const name = isAbsolute(wanted) ? relativeName(wanted) : wanted;
    return {
      path: where,
      message: `it imports "${name}", which does not exist; correct the path, or install the package`,
    };
  }
  return { path: where, message: `it threw while it was loaded: ${text}` };
}
