import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { execa } from 'execa';
import { childEnvironment } from '../lib/child-environment.ts';
import { greenlight } from '../lib/command.ts';
import { messageOf, OperationError } from '../lib/errors.ts';
import { findTool } from '../lib/tools.ts';
import type { EngineName } from '../model.ts';

/** A container engine of this machine that answers. */
export interface Engine {
  name: EngineName;
  /** Absolute path of its command line. */
  path: string;
  version: string;
  /** Variables that its command line needs: they say where it keeps images and containers. No secrets. */
  env: Record<string, string>;
  /** Limits that the engine can enforce here. Without control groups for them (rootless, cgroups v1) it cannot. */
  enforces: { memory: boolean; cpus: boolean };
}

/** Podman first: it needs no daemon, and its containers outlive it. */
export const engineNames = ['podman', 'docker'] as const;
export type WantedEngine = 'auto' | EngineName;

/** Longest wait for an answer of the engine, ms. */
const answerMs = 20_000;

/** Variables of the caller's shell that say where the engine keeps images and credentials, and how it is reached. */
const settings = {
  podman: ['CONTAINERS_CONF', 'CONTAINERS_STORAGE_CONF', 'CONTAINERS_REGISTRIES_CONF', 'REGISTRY_AUTH_FILE'],
  docker: ['DOCKER_HOST', 'DOCKER_CONFIG', 'DOCKER_CONTEXT'],
};

/**
 * The engine that a definition asks for; `auto`: the first that answers. Rejects with an OperationError that says of
 * each what it lacks. An engine of another machine is refused, because instances listen on this machine's loopback.
 */
export function findEngine(wanted: WantedEngine): Promise<Engine> {
  const names = wanted === 'auto' ? engineNames : [wanted];
  const key = JSON.stringify([names, ...Object.values(settings).flat(), 'CONTAINER_HOST', 'PATH'].map(valueOf));
  const known = found.get(key) ?? ask(names);
  found.set(key, known);
  // An engine that is started meanwhile is found by the next question.
  known.catch(() => found.delete(key));
  return known;
}

const found = new Map<string, Promise<Engine>>();
const valueOf = (name: unknown): unknown => (typeof name === 'string' ? process.env[name] : name);

async function ask(names: readonly EngineName[]): Promise<Engine> {
  const reasons: string[] = [];
  for (const name of names) {
    try {
      return await inspect[name]();
    } catch (error) {
      reasons.push(`${name} ${messageOf(error)}`);
    }
  }
  throw new OperationError(
    'looking for a container engine',
    reasons.join('; '),
    `install podman (Debian: sudo apt-get install podman), or start Docker; ${greenlight('doctor')} shows what was found`,
  );
}

/** Each throws an Error whose message continues a sentence that begins with the engine's name. */
const inspect: Record<EngineName, () => Promise<Engine>> = {
  async podman() {
    const path = programOf('podman');
    if (named('CONTAINER_HOST')) throw new Error('is set to an engine elsewhere (CONTAINER_HOST)');
    const env = variables('podman');
    const { host, version } = readPodman(await answer(path, ['info', '--format', 'json'], env));
    if (host.serviceIsRemote) throw new Error('is connected to an engine elsewhere');
    const has = (controller: string) => host.cgroupControllers?.includes(controller) ?? false;
    return {
      name: 'podman',
      path,
      version: version?.Version ?? '',
      env,
      enforces: { memory: has('memory'), cpus: has('cpu') },
    };
  },

  async docker() {
    const path = programOf('docker');
    const env = variables('docker');
    const host = (await answer(path, ['context', 'inspect', '--format', '{{.Endpoints.docker.Host}}'], env)).trim();
    if (!host.startsWith('unix://')) throw new Error(`is set to an engine elsewhere (${host})`);
    const info = JSON.parse(await answer(path, ['info', '--format', '{{json .}}'], env)) as DockerInfo;
    if ((info.ServerErrors ?? []).length > 0) throw new Error(`does not answer: ${info.ServerErrors?.[0] ?? ''}`);
    if (info.OperatingSystem?.includes('Docker Desktop') === true)
      throw new Error(
        "runs containers in a virtual machine (Docker Desktop), which does not share this machine's loopback",
      );
    return {
      name: 'docker',
      path,
      version: info.ServerVersion ?? '',
      env,
      enforces: { memory: info.MemoryLimit ?? false, cpus: info.CpuCfsQuota ?? false },
    };
  },
};

interface PodmanInfo {
  host: { serviceIsRemote?: boolean; cgroupControllers?: string[] | null };
  version?: { Version?: string };
}

interface DockerInfo {
  ServerErrors?: string[] | null;
  ServerVersion?: string;
  OperatingSystem?: string;
  MemoryLimit?: boolean;
  CpuCfsQuota?: boolean;
}

const readPodman = (text: string): PodmanInfo => JSON.parse(text) as PodmanInfo;

const named = (variable: string): boolean => (process.env[variable] ?? '') !== '';

function programOf(name: EngineName): string {
  if (process.platform !== 'linux') throw new Error('can share the loopback with this machine on Linux only');
  const path = findTool(name);
  if (path === undefined) throw new Error('is not installed');
  return path;
}

/** A service of a supervisor has none of the session's variables, and a rootless engine finds its containers by them. */
function variables(name: EngineName): Record<string, string> {
  const { HOME, XDG_RUNTIME_DIR } = process.env;
  const { uid, homedir } = userInfo();
  const ofUser = `/run/user/${uid}`;
  const runtime = XDG_RUNTIME_DIR ?? (uid !== 0 && existsSync(ofUser) ? ofUser : undefined);
  const own = settings[name].flatMap((variable) => {
    const value = process.env[variable];
    return value === undefined || value === '' ? [] : [[variable, value] as const];
  });
  return {
    HOME: HOME ?? homedir,
    ...(runtime === undefined ? {} : { XDG_RUNTIME_DIR: runtime }),
    ...Object.fromEntries(own),
  };
}

async function answer(path: string, args: string[], env: Record<string, string>): Promise<string> {
  const result = await execa(path, args, {
    ...childEnvironment(env),
    stdin: 'ignore',
    reject: false,
    timeout: answerMs,
  });
  if (!result.failed) return result.stdout;
  const said = result.stderr.trim().split('\n').at(-1) ?? '';
  throw new Error(`does not answer: ${result.timedOut ? `nothing within ${answerMs / 1000} s` : said}`);
}
