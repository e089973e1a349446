import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { isAlive } from '../lib/lifetimes.ts';
import { home } from '../lib/paths.ts';
import type { EnvironmentName, LimitsSpec, ServiceSpec } from '../model.ts';
import {
  listArguments,
  pidArguments,
  removeArguments,
  runArguments,
  withinArguments,
  type Container,
} from './commands.ts';
import { engineNames, findEngine, type Engine } from './engine.ts';
import { attempt, execute, quickMs } from './execute.ts';
import { allRecords, type VersionImages } from './record.ts';

/** Containers of this project's environments, and how they are known again. */

/** What a container has where the definition names no limit. */
const defaults = { memoryMegabytes: 512, cpus: 1 };

/** Name of a project on this machine: two of them may have environments and instances of the same names. */
const homeId = (): string => createHash('sha256').update(home()).digest('hex').slice(0, 8);

const labels = (environment: EnvironmentName): Record<string, string> => ({
  'greenlight.home': homeId(),
  'greenlight.environment': environment,
});
/** Marks a container that has no use without the process that started it. */
const ownerLabel = 'greenlight.owner';

export interface ContainerOf extends Pick<
  Container,
  'image' | 'program' | 'command' | 'readOnly' | 'mounts' | 'runtime' | 'input'
> {
  environment: EnvironmentName;
  /** `web.blue.1` */
  name: string;
  env: Record<string, string>;
  limits: LimitsSpec;
  /** Whether it belongs to this process: a job or a preview. An instance outlives it. */
  owned?: boolean;
}

/** A container as a program of this machine: its command lines, and the environment of all. */
export interface ContainerProgram {
  argv: string[];
  /** Removes what an earlier start left, and this one, however it was ended. */
  clear: string[];
  /** Before a command: runs it in the container. */
  within: string[];
  env: Record<string, string>;
}

/** Values of variables are in the environment of the command line and never among its arguments. */
export function containerProgram(engine: Engine, of: ContainerOf): ContainerProgram {
  // The process is in the name, as engines print labels in different ways.
  const name = containerName(of.environment, of.owned === true ? `of-${process.pid}.${of.name}` : of.name);
  const { memoryMegabytes = defaults.memoryMegabytes, cpus = defaults.cpus } = of.limits;
  const args = runArguments(engine, {
    ...of,
    memoryMegabytes,
    // Docker refuses more than there are.
    cpus: Math.min(cpus, availableParallelism()),
    name,
    env: Object.keys(of.env),
    labels: { ...labels(of.environment), ...(of.owned === true ? { [ownerLabel]: String(process.pid) } : {}) },
  });
  return {
    argv: [engine.path, ...args],
    clear: [...withVariables(engine), engine.path, ...removeArguments(engine.name, [name])],
    within: [engine.path, ...withinArguments(name)],
    env: { ...of.env, ...engine.env },
  };
}

/** What says where the engine keeps its containers is no secret, and may be in an argument. */
const withVariables = ({ env }: Engine): string[] => [
  '/usr/bin/env',
  ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
];

/** What to do where a container ends right after its start. */
export const readOnlyAdvice =
  'an application that writes to its own files fails, as they are read-only: let it write to /tmp, or set image.readOnly: false';

/** The container of one instance of a service, or of a command in its image. Undefined if the version has no image of it. */
export function serviceContainer(
  images: VersionImages | undefined,
  service: Pick<ServiceSpec, 'name' | 'start' | 'limits'>,
  of: Pick<ContainerOf, 'environment' | 'name' | 'env' | 'mounts' | 'owned' | 'program' | 'input'>,
): ContainerProgram | undefined {
  const image = images?.record.services[service.name];
  if (images === undefined || image === undefined) return undefined;
  return containerProgram(images.engine, {
    ...of,
    image: image.id,
    command: service.start,
    limits: service.limits ?? {},
    readOnly: image.readOnly,
    runtime: images.record.runtime,
  });
}

export const containerName = (environment: EnvironmentName, name: string): string =>
  `greenlight-${homeId()}-${environment}-${name}`;

/** Engines that this project's versions use and that answer. */
async function enginesInUse(): Promise<Engine[]> {
  const names = new Set((await allRecords()).map(({ engine }) => engine));
  const found = engineNames.filter((name) => names.has(name)).map((name) => findEngine(name).catch(() => undefined));
  return (await Promise.all(found)).filter((engine) => engine !== undefined);
}

const listed = async (engine: Engine, by: Record<string, string>): Promise<string[]> => {
  const { failed, stdout } = await attempt(engine, listArguments(by), { timeoutMs: quickMs });
  return failed ? [] : stdout.split('\n').filter(Boolean);
};

const remove = (engine: Engine, names: string[]) =>
  execute(engine, removeArguments(engine.name, names), {
    doing: `removing the containers ${names.join(', ')}`,
    todo: `remove them by hand: ${[engine.name, ...removeArguments(engine.name, names)].join(' ')}`,
    timeoutMs: quickMs,
  });

/** Removes all containers of an environment. Resolves to their names. */
export async function removeContainers(environment: EnvironmentName): Promise<string[]> {
  const removed: string[] = [];
  for (const engine of await enginesInUse()) {
    const names = await listed(engine, labels(environment));
    if (names.length > 0) await remove(engine, names);
    removed.push(...names);
  }
  return removed;
}

/** Removes jobs and previews whose program was killed. */
export async function removeAbandoned(engine: Engine, environment: EnvironmentName): Promise<string[]> {
  const names = (await listed(engine, labels(environment))).filter((name) => {
    const owner = name.slice(containerName(environment, '').length).match(/^of-(\d+)\./)?.[1];
    return owner !== undefined && !isAlive(Number(owner));
  });
  if (names.length > 0) await remove(engine, names);
  return names;
}

/** Processes of an environment's instances that are containers, by the instance's name. */
export async function containerPids(environment: EnvironmentName, names: string[]): Promise<Map<string, number>> {
  const pids = new Map<string, number>();
  if (names.length === 0) return pids;
  for (const engine of await enginesInUse()) {
    const args = pidArguments(names.map((name) => containerName(environment, name)));
    const { stdout } = await attempt(engine, args, { timeoutMs: quickMs });
    for (const line of stdout.split('\n')) {
      const [name = '', pid = ''] = line.replace(/^\//, '').split(' ');
      if (Number(pid) > 0) pids.set(name.slice(containerName(environment, '').length), Number(pid));
    }
  }
  return pids;
}
