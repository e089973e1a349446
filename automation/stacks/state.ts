import { copyFile, readFile, readdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OperationError } from '../../infra/errors.ts';
import type { EngineSettings } from '../../infra/platform.ts';
import { projectName } from '../../infra/stacks.ts';

/** What the engine recorded about a stack. */
export interface Recorded {
  resources: RecordedResource[];
  outputs: Record<string, unknown>;
  /** Operations that began and whose end the engine never saw: it was killed meanwhile. */
  pending: { type: string; resource: RecordedResource }[];
}

export interface RecordedResource {
  urn: string;
  type: string;
  custom?: boolean;
  external?: boolean;
  id?: string;
  inputs?: Record<string, unknown>;
  outputs?: Record<string, unknown>;
}

export interface Deployment {
  resources?: RecordedResource[];
  pending_operations?: Recorded['pending'];
}

/** Directory of the file backend. */
const directory = (settings: EngineSettings): string => join(fileURLToPath(settings.backendUrl), '.pulumi');

/** Where the file backend keeps the locks of a stack, one file per holder. */
export const lockDirectory = (settings: EngineSettings, stack: string): string =>
  join(directory(settings), 'locks', 'organization', projectName, stack);

const stacksDirectory = (settings: EngineSettings): string => join(directory(settings), 'stacks', projectName);

/** Everything that the file backend has of a stack. */
export const stackFiles = (settings: EngineSettings, stack: string): string[] => [
  ...['.json', '.json.attrs', '.json.bak', '.json.bak.attrs'].map((end) =>
    join(stacksDirectory(settings), `${stack}${end}`),
  ),
  ...['history', 'backups'].map((kind) => join(directory(settings), kind, projectName, stack)),
  lockDirectory(settings, stack),
];

/** Names of all stacks. Read from the files: the engine takes a third of a second to say the same. */
export async function stackNames(settings: EngineSettings): Promise<string[]> {
  const files = await readdir(stacksDirectory(settings)).catch(() => []);
  return files.filter((file) => file.endsWith('.json')).map((file) => file.slice(0, -'.json'.length));
}

/**
 * What was recorded about a stack; undefined where there is no such stack.
 * Rejects with an OperationError where the record is damaged: then nobody may take it for an empty one. The engine writes the file in place, after a
 * copy of what it said before: while it writes, or where it was killed meanwhile, the copy holds.
 */
export async function recorded(settings: EngineSettings, stack: string): Promise<Recorded | undefined> {
  const file = checkpointFile(settings, stack);
  const latest = (await readCheckpoint(file)) ?? (await readCheckpoint(`${file}.bak`));
  if (latest === undefined) {
    if (await exists(file)) throw damaged(stack, file);
    return undefined;
  }
  const resources = latest.resources ?? [];
  const root = resources.find(({ type }) => type === 'pulumi:pulumi:Stack');
  return { resources, outputs: root?.outputs ?? {}, pending: latest.pending_operations ?? [] };
}

/**
 * Puts the copy back where the engine was killed while it wrote the state. The copy is one step behind; making that
 * step again adopts what is there. Only call it when no engine works on the stack.
 */
export async function repairCheckpoint(settings: EngineSettings, stack: string): Promise<void> {
  const file = checkpointFile(settings, stack);
  if (!(await exists(file)) || (await readCheckpoint(file)) !== undefined) return;
  if ((await readCheckpoint(`${file}.bak`)) === undefined) throw damaged(stack, file);
  await copyFile(`${file}.bak`, `${file}.new`);
  await rename(`${file}.new`, file);
}

const checkpointFile = (settings: EngineSettings, stack: string): string =>
  join(stacksDirectory(settings), `${stack}.json`);

const exists = (file: string): Promise<boolean> => stat(file).then(() => true, () => false); // prettier-ignore

const damaged = (stack: string, file: string): OperationError =>
  new OperationError(
    `reading the state of the stack ${stack}`,
    `${file} and its copy are damaged`,
    'put back one of its backups (state/.pulumi/backups), or run npm run destroy, which needs no state',
  );

/** Undefined where it is missing or cut off. */
async function readCheckpoint(file: string): Promise<Deployment | undefined> {
  try {
    const { checkpoint } = JSON.parse(await readFile(file, 'utf8')) as { checkpoint?: { latest?: Deployment } };
    return checkpoint?.latest ?? {};
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Stands for something: no provider, component or reference to another stack. */
export const isReal = ({ type, custom, external }: RecordedResource): boolean =>
  custom === true && external !== true && !type.startsWith('pulumi:');

export const realResources = ({ resources }: Recorded): RecordedResource[] => resources.filter(isReal);
