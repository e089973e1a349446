import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
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

/** What was recorded about a stack; undefined where there is no such stack. */
export async function recorded(settings: EngineSettings, stack: string): Promise<Recorded | undefined> {
  let text: string;
  try {
    text = await readFile(join(stacksDirectory(settings), `${stack}.json`), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const { checkpoint } = JSON.parse(text) as { checkpoint?: { latest?: Deployment } };
  const resources = checkpoint?.latest?.resources ?? [];
  const root = resources.find(({ type }) => type === 'pulumi:pulumi:Stack');
  return { resources, outputs: root?.outputs ?? {}, pending: checkpoint?.latest?.pending_operations ?? [] };
}

/** Stands for something: no provider, component or reference to another stack. */
export const isReal = ({ type, custom, external }: RecordedResource): boolean =>
  custom === true && external !== true && !type.startsWith('pulumi:');

export const realResources = ({ resources }: Recorded): RecordedResource[] => resources.filter(isReal);
