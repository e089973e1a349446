import type { EngineName } from '../model.ts';
import type { Engine } from './engine.ts';

/** Arguments of an engine's command line, as pure functions. Podman and Docker differ where `engine` is asked. */

export interface Build {
  /** Absolute paths. */
  dockerfile: string;
  context: string;
  target?: string | undefined;
  args: Record<string, string>;
  /** `linux/amd64`. Named also where it is this machine's, as the cache of an engine may have a layer of another. */
  platform: string;
  tag?: string;
  /** File that gets the id of the image. */
  idFile?: string | undefined;
  /** OCI runtime of its RUN steps, for Podman. Undefined: the engine's default. */
  runtime?: string | undefined;
  /** Without what earlier builds have cached. */
  fresh?: boolean;
}

export const buildArguments = (build: Build): string[] => [
  ...(build.runtime === undefined ? [] : ['--runtime', build.runtime]),
  'build',
  '--platform',
  build.platform,
  '--file',
  build.dockerfile,
  ...(build.tag === undefined ? [] : ['--tag', build.tag]),
  ...(build.idFile === undefined ? [] : ['--iidfile', build.idFile]),
  ...(build.fresh === true ? ['--no-cache'] : []),
  ...(build.target === undefined ? [] : ['--target', build.target]),
  ...Object.entries(build.args).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
  build.context,
];

/** A registry on loopback has no certificate. Docker knows that by itself. */
const plain = (engine: EngineName, reference: string): string[] =>
  engine === 'podman' && /^(localhost|127\.0\.0\.1|\[::1\])[:/]/.test(reference) ? ['--tls-verify=false'] : [];

export const pullArguments = (engine: EngineName, reference: string): string[] => [
  'pull',
  '--quiet',
  ...plain(engine, reference),
  reference,
];

/** `digestFile` gets the digest in the registry; Docker prints it instead. */
export const pushArguments = (engine: EngineName, reference: string, digestFile?: string): string[] => [
  'push',
  ...(engine === 'podman' && digestFile !== undefined ? ['--digestfile', digestFile] : []),
  ...plain(engine, reference),
  reference,
];

export const inspectArguments = (image: string): string[] => ['image', 'inspect', image];
export const tagArguments = (image: string, tag: string): string[] => ['tag', image, tag];
export const untagArguments = (tags: string[]): string[] => ['rmi', ...tags];
export const imagesArguments = (): string[] => ['images', '--format', '{{.Repository}}:{{.Tag}}'];

export interface Container {
  /** Name on the engine, unique on this machine. */
  name: string;
  /** Id of the image. */
  image: string;
  /** Replaces the image's entry point and command. */
  program?: string[];
  /** Replaces the image's command, as an argument of its entry point. Empty: the image's own. */
  command?: string[];
  /** Names of variables that it gets. Their values are in the environment of the command line. */
  env: string[];
  mounts: Mount[];
  labels: Record<string, string>;
  readOnly: boolean;
  memoryMegabytes: number;
  cpus: number;
  /** OCI runtime. Undefined: the engine's default. */
  runtime?: string | undefined;
  /** Whether it reads what its command line reads, and whether that is a terminal. Absent: it reads nothing. */
  input?: 'pipe' | 'terminal' | undefined;
}

/** A file or directory of this machine, under the same path in the container unless `target` names another. */
export interface Mount {
  source: string;
  target?: string;
  writable?: boolean;
}

/** Open files and processes of one container: enough for a service, and a bound for a runaway one. */
const files = 4096;
const processes = 4096;
const pids = 512;

/**
 * Arguments that run a container in the foreground, so that a supervisor sees its output and its end, and passes
 * signals to it. It shares this machine's network, and has no privileges.
 */
export function runArguments(engine: Pick<Engine, 'name' | 'enforces'>, container: Container): string[] {
  const { name, enforces } = engine;
  const { program, command = [] } = container;
  const memory = `${container.memoryMegabytes}m`;
  return [
    'run',
    '--rm',
    ...(container.input === undefined ? [] : ['--interactive']),
    ...(container.input === 'terminal' ? ['--tty'] : []),
    '--name',
    container.name,
    ...Object.entries(container.labels).flatMap(([key, value]) => ['--label', `${key}=${value}`]),
    '--pull=never',
    '--network=host',
    ...(container.runtime === undefined ? [] : ['--runtime', container.runtime]),
    ...(name === 'podman' ? ['--http-proxy=false'] : []),
    ...(container.readOnly ? ['--read-only'] : []),
    '--tmpfs',
    '/tmp',
    '--cap-drop=all',
    '--security-opt=no-new-privileges',
    // Where SELinux is on, a container may not read what is mounted otherwise.
    '--security-opt=label=disable',
    ...(enforces.memory ? ['--memory', memory, '--memory-swap', memory, '--pids-limit', String(pids)] : []),
    ...(enforces.cpus ? ['--cpus', String(container.cpus)] : []),
    '--ulimit',
    `nofile=${files}:${files}`,
    '--ulimit',
    `nproc=${processes}:${processes}`,
    // The supervisor keeps the output.
    '--log-driver',
    'none',
    ...container.mounts.flatMap(mountArguments),
    ...[...container.env].sort().flatMap((variable) => ['--env', variable]),
    ...(program === undefined ? [] : ['--entrypoint', program[0] ?? '']),
    container.image,
    ...(program === undefined ? command : program.slice(1)),
  ];
}

const mountArguments = ({ source, target, writable }: Mount): string[] => [
  '--mount',
  [
    `type=bind`,
    csv('source', source),
    csv('target', target ?? source),
    ...(writable === true ? [] : ['readonly']),
  ].join(','),
];

/** Engines read `--mount` as a line of CSV. */
const csv = (key: string, value: string): string =>
  /[",\n]/.test(value) ? `"${key}=${value.replaceAll('"', '""')}"` : `${key}=${value}`;

/** Runs a command in a container that runs, with the container's user and environment. */
export const withinArguments = (name: string): string[] => ['exec', name];

/** Ends a container at once and removes it, whatever state it is in. */
export const removeArguments = (engine: EngineName, names: string[]): string[] => [
  'rm',
  '--force',
  ...(engine === 'podman' ? ['--time', '0', '--ignore'] : []),
  ...names,
];

/** Names of containers with these labels, one a line. */
export const listArguments = (labels: Record<string, string>): string[] => [
  'ps',
  '--all',
  '--format',
  '{{.Names}}',
  ...Object.entries(labels).flatMap(([key, value]) => ['--filter', `label=${key}=${value}`]),
];

/** Name and process of each, one a line. */
export const pidArguments = (names: string[]): string[] => [
  'container',
  'inspect',
  '--format',
  '{{.Name}} {{.State.Pid}}',
  ...names,
];
