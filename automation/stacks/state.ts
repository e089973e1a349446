import { OperationError } from '../../infra/lib/errors.ts';
import type { EngineSettings, StateFiles } from '../../infra/platform/engine.ts';
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
  /** The engine refuses to delete it. */
  protect?: boolean;
  id?: string;
  inputs?: Record<string, unknown>;
  outputs?: Record<string, unknown>;
}

export interface Deployment {
  resources?: RecordedResource[];
  pending_operations?: Recorded['pending'];
  secrets_providers?: { type: string; state?: { url: string; encryptedkey: string } };
}

/** Where the backend keeps the locks of a stack, one file per holder. Every backend of files has the same layout. */
export const lockDirectory = (stack: string): string => `.pulumi/locks/organization/${projectName}/${stack}`;

const stacksDirectory = `.pulumi/stacks/${projectName}`;

/** Everything that the backend has of a stack. */
export async function stackFiles({ state }: EngineSettings, stack: string): Promise<string[]> {
  const own = ['.json', '.json.attrs', '.json.bak', '.json.bak.attrs'].map(
    (end) => `${stacksDirectory}/${stack}${end}`,
  );
  const records = ['history', 'backups'].map((kind) => `.pulumi/${kind}/${projectName}/${stack}`);
  const lists = await Promise.all([...records, lockDirectory(stack)].map((directory) => state.list(directory)));
  return [...own, ...lists.flat()];
}

/** Where a file of the backend is, for a person: below its URL, without the query. */
export const locationOf = ({ backendUrl }: EngineSettings, path: string): string =>
  `${backendUrl.replace(/^file:\/\//, '').replace(/\?.*$/, '')}/${path}`;

/** The engine's state is damaged, or contradicts what runs. It must not be taken for "nothing is there". */
export class UntrustedState extends OperationError {
  override readonly name = 'UntrustedState';
}

/**
 * What was recorded about a stack; undefined where there is no such stack.
 * Rejects with an `UntrustedState` where the record is damaged, and so not empty.
 */
export async function recorded(settings: EngineSettings, stack: string): Promise<Recorded | undefined> {
  const latest = await readEither(settings, stack);
  if (latest === undefined) return undefined;
  const resources = latest.resources ?? [];
  const root = resources.find(({ type }) => type === 'pulumi:pulumi:Stack');
  return { resources, outputs: root?.outputs ?? {}, pending: latest.pending_operations ?? [] };
}

/**
 * Puts the copy back where the engine was killed while it wrote the state. The copy is one step behind; making that
 * step again adopts what is there. Only call it when no engine works on the stack, and before the dead engine's lock is removed.
 */
export async function repairCheckpoint(settings: EngineSettings, stack: string): Promise<void> {
  const { state } = settings;
  const path = checkpointFile(stack);
  for (const file of [path, copyOf(path)]) await removeCutOff(state, sumOf(file));
  const isWhole = async () => parseCheckpoint(await state.read(path)) !== undefined;
  const copy = await state.read(copyOf(path));
  if (copy === undefined || (await isWhole())) return;
  await readEither(settings, stack);
  if (!(await isWhole())) await state.write(path, copy);
}

/**
 * Key and URL of the secrets provider that encrypted a stack, from its state: on another machine than the one that made it
 * nothing else knows them. Undefined where there is no such stack, or a passphrase encrypted it.
 */
export async function encryptionOf(settings: EngineSettings, stack: string): Promise<Encryption | undefined> {
  const provider = (await readEither(settings, stack))?.secrets_providers;
  if (provider?.type !== 'cloud' || provider.state === undefined) return undefined;
  return { url: provider.state.url, encryptedKey: provider.state.encryptedkey };
}

export interface Encryption {
  url: string;
  /** The stack's data key, encrypted by the key that the URL names. */
  encryptedKey: string;
}

const checkpointFile = (stack: string): string => `${stacksDirectory}/${stack}.json`;
const copyOf = (path: string): string => `${path}.bak`;

/** In a directory the backend keeps a file's checksum beside it. It writes that first, and reads no file whose sum is cut off. */
const sumOf = (path: string): string => `${path}.attrs`;

/** Removes a file that is there and no JSON. A sum that is missing is missed by nobody. */
async function removeCutOff(state: StateFiles, path: string): Promise<void> {
  try {
    JSON.parse((await state.read(path)) ?? '{}');
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    await state.remove(path);
  }
}

/**
 * The record; undefined where there is no such stack. The engine writes the file in place, after it has copied it. While it writes,
 * or if it was killed meanwhile, its lock is there, and the copy is valid. A file that is cut off without a lock was damaged later:
 * the copy is one step behind then, and may name an older version than the one that serves users.
 */
async function readEither(settings: EngineSettings, stack: string): Promise<Deployment | undefined> {
  const { state } = settings;
  const path = checkpointFile(stack);
  const text = await state.read(path);
  const latest = parseCheckpoint(text);
  const copy = latest === undefined ? await state.read(copyOf(path)) : undefined;
  if (latest !== undefined || (text === undefined && copy === undefined)) return latest;
  const before = parseCheckpoint(copy);
  if (before !== undefined && (await state.list(lockDirectory(stack))).length > 0) return before;
  // The engine may have ended since the first look: then the file is whole.
  const again = parseCheckpoint(await state.read(path));
  if (again === undefined) throw await damaged(settings, stack, text);
  return again;
}

async function damaged(settings: EngineSettings, stack: string, text: string | undefined): Promise<UntrustedState> {
  const file = locationOf(settings, checkpointFile(stack));
  const last = await lastCheckpoint(settings, stack);
  const how =
    text === undefined ? 'is missing' : text.trim() === '' ? 'is empty' : 'is damaged (cut off, or not the engine’s)';
  return new UntrustedState(
    `reading the state of the stack ${stack}`,
    `${file} ${how}`,
    `nothing was changed. ${last === undefined ? `Put back one of its backups (${locationOf(settings, '.pulumi/backups')})` : `Put back what the last run of the engine recorded: copy ${last} to ${file}`}; see "The state of a stack is damaged" in docs/runbook.md`,
  );
}

/** The engine keeps the state after each of its runs in the history: where the newest of them is, if it is whole. */
async function lastCheckpoint(settings: EngineSettings, stack: string): Promise<string | undefined> {
  const files = await settings.state.list(`.pulumi/history/${projectName}/${stack}`);
  const newest = files
    .filter((path) => path.endsWith('.checkpoint.json'))
    .sort()
    .at(-1);
  if (newest === undefined || parseCheckpoint(await settings.state.read(newest)) === undefined) return undefined;
  return locationOf(settings, newest);
}

/** Undefined where it is missing, cut off, or no record of the engine. */
function parseCheckpoint(text: string | undefined): Deployment | undefined {
  if (text === undefined) return undefined;
  try {
    const { checkpoint } = JSON.parse(text) as { checkpoint?: { latest?: Deployment } };
    return checkpoint === undefined ? undefined : (checkpoint.latest ?? {});
  } catch {
    return undefined;
  }
}

/** Stands for something: no provider, component or reference to another stack. */
export const isReal = ({ type, custom, external }: RecordedResource): boolean =>
  custom === true && external !== true && !type.startsWith('pulumi:');

/** Random values are nowhere but in the state: what was cut off left nothing. */
export const onlyRecorded = ({ type }: RecordedResource): boolean => type.startsWith('random:');

export const realResources = ({ resources }: Recorded): RecordedResource[] => resources.filter(isReal);
