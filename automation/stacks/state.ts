import { OperationError } from '../../infra/lib/errors.ts';
import type { EngineSettings, StateFiles } from '../../infra/platform/engine.ts';
import { projectName } from '../../infra/stacks.ts';

/** The state of a stack. */
export interface Recorded {
  resources: RecordedResource[];
  outputs: Record<string, unknown>;
  /** Operations that had begun when the engine was killed. */
  pending: { type: string; resource: RecordedResource }[];
}

export interface RecordedResource {
  urn: string;
  type: string;
  custom?: boolean;
  external?: boolean;
  /** The engine refuses to delete this resource. */
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

/** The backend's folder of locks for a stack, one file per holder. The layout is the same on disk and in S3. */
export const lockDirectory = (stack: string): string => `.pulumi/locks/organization/${projectName}/${stack}`;

const stacksDirectory = `.pulumi/stacks/${projectName}`;

/** Paths of all files that the backend has of a stack. */
export async function stackFiles({ state }: EngineSettings, stack: string): Promise<string[]> {
  const own = ['.json', '.json.attrs', '.json.bak', '.json.bak.attrs'].map(
    (end) => `${stacksDirectory}/${stack}${end}`,
  );
  const records = ['history', 'backups'].map((kind) => `.pulumi/${kind}/${projectName}/${stack}`);
  const lists = await Promise.all([...records, lockDirectory(stack)].map((directory) => state.list(directory)));
  return [...own, ...lists.flat()];
}

/** Location of a backend file for messages: backend URL without query, and path. */
export const locationOf = ({ backendUrl }: EngineSettings, path: string): string =>
  `${backendUrl.replace(/^file:\/\//, '').replace(/\?.*$/, '')}/${path}`;

/** The engine's state is damaged or contradicts what runs. It must not be treated as an empty state. */
export class UntrustedState extends OperationError {
  override readonly name = 'UntrustedState';
}

/**
 * The state of a stack; undefined if there is no such stack. Rejects with an `UntrustedState` if it is damaged.
 */
export async function recorded(settings: EngineSettings, stack: string): Promise<Recorded | undefined> {
  const latest = await readEither(settings, stack);
  if (latest === undefined) return undefined;
  const resources = latest.resources ?? [];
  const root = resources.find(({ type }) => type === 'pulumi:pulumi:Stack');
  return { resources, outputs: root?.outputs ?? {}, pending: latest.pending_operations ?? [] };
}

/**
 * Restores the state from its copy if the engine was killed while writing it. The copy is one step behind; repeating
 * that step adopts the existing resource. Call it only when no engine works on the stack, and before the dead engine's
 * lock is removed.
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
 * Key and URL of the secrets provider that encrypted a stack, from its state. On a machine that did not create the
 * stack they are nowhere else. Undefined if there is no such stack, or if a passphrase encrypted it.
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

/**
 * On disk the backend keeps a checksum file beside each file. It writes the checksum first, and fails if it is
 * incomplete.
 */
const sumOf = (path: string): string => `${path}.attrs`;

/** Removes a file that is not valid JSON. The backend does not need the checksum files. */
async function removeCutOff(state: StateFiles, path: string): Promise<void> {
  try {
    JSON.parse((await state.read(path)) ?? '{}');
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    await state.remove(path);
  }
}

/**
 * The state; undefined if there is no such stack. The engine copies the file, then writes it in place. While it writes,
 * or if it was killed meanwhile, its lock exists and the copy is valid. An incomplete file without a lock was damaged
 * later. Then the copy is not used, because it is one step behind and may name an older version than the one that
 * serves users.
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
  // The engine may have finished writing since the first read.
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
    `nothing was changed. ${last === undefined ? `Restore one of its backups (${locationOf(settings, '.pulumi/backups')})` : `Restore the state after the last run of the engine: copy ${last} to ${file}`}; see "The state of a stack is damaged" in docs/runbook.md`,
  );
}

/**
 * Location of the newest checkpoint in the history, where the engine saves the state after each run; undefined if it is
 * damaged.
 */
async function lastCheckpoint(settings: EngineSettings, stack: string): Promise<string | undefined> {
  const files = await settings.state.list(`.pulumi/history/${projectName}/${stack}`);
  const newest = files
    .filter((path) => path.endsWith('.checkpoint.json'))
    .sort()
    .at(-1);
  if (newest === undefined || parseCheckpoint(await settings.state.read(newest)) === undefined) return undefined;
  return locationOf(settings, newest);
}

/** Undefined if the text is missing, incomplete or not a checkpoint. */
function parseCheckpoint(text: string | undefined): Deployment | undefined {
  if (text === undefined) return undefined;
  try {
    const { checkpoint } = JSON.parse(text) as { checkpoint?: { latest?: Deployment } };
    return checkpoint === undefined ? undefined : (checkpoint.latest ?? {});
  } catch {
    return undefined;
  }
}

/** Whether it is a real resource: not a provider, a component or a reference to another stack. */
export const isReal = ({ type, custom, external }: RecordedResource): boolean =>
  custom === true && external !== true && !type.startsWith('pulumi:');

/** Random values exist only in the state, so an interrupted creation leaves nothing behind. */
export const onlyRecorded = ({ type }: RecordedResource): boolean => type.startsWith('random:');

export const realResources = ({ resources }: Recorded): RecordedResource[] => resources.filter(isReal);
