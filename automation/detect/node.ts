import { OperationError } from '../../infra/lib/errors.ts';
import { fact, type Fact, type Facts } from './facts.ts';
import type { Folder } from './folder.ts';
import { argvOf, asName, asVersion, find, grep, has, source } from './text.ts';

export interface Manifest {
  name?: string;
  version?: string;
  scripts: Record<string, string>;
  /** Names of all packages that it wants. */
  packages: Record<string, string>;
  main?: string;
  workspaces?: string[];
  type?: string;
}

/** The manifest; undefined if there is none. Throws an OperationError if it cannot be read. */
export function manifestOf(folder: Folder): Manifest | undefined {
  const text = folder.read('package.json');
  if (text === undefined) return undefined;
  const doing = 'reading package.json';
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new OperationError(doing, (error as Error).message, 'nothing was written; correct it, then repeat', {
      cause: error,
    });
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new OperationError(doing, 'it is no object', 'nothing was written; correct it, then repeat');
  const of = json as Record<string, unknown>;
  const texts = (value: unknown): Record<string, string> =>
    Object.fromEntries(
      Object.entries(typeof value === 'object' && value !== null ? value : {}).filter(
        (pair): pair is [string, string] => typeof pair[1] === 'string',
      ),
    );
  const { name, version, main, type, workspaces } = of;
  const folders = Array.isArray(workspaces) ? workspaces : (workspaces as { packages?: unknown } | undefined)?.packages;
  return {
    ...(typeof name === 'string' ? { name } : {}),
    ...(typeof version === 'string' ? { version } : {}),
    ...(typeof main === 'string' ? { main } : {}),
    ...(typeof type === 'string' ? { type } : {}),
    ...(Array.isArray(folders) ? { workspaces: folders.map(String) } : {}),
    scripts: texts(of['scripts']),
    packages: { ...texts(of['devDependencies']), ...texts(of['dependencies']) },
  };
}

interface Manager {
  name: string;
  lock: string;
  install: string[];
  run: (script: string) => string[];
}

const managers: Manager[] = [
  { name: 'npm', lock: 'package-lock.json', install: ['npm', 'ci'], run: (s) => ['npm', 'run', s] },
  { name: 'npm', lock: 'npm-shrinkwrap.json', install: ['npm', 'ci'], run: (s) => ['npm', 'run', s] },
  {
    name: 'pnpm',
    lock: 'pnpm-lock.yaml',
    install: ['pnpm', 'install', '--frozen-lockfile'],
    run: (s) => ['pnpm', 'run', s],
  },
  { name: 'yarn', lock: 'yarn.lock', install: ['yarn', 'install', '--immutable'], run: (s) => ['yarn', 'run', s] },
  { name: 'bun', lock: 'bun.lock', install: ['bun', 'install', '--frozen-lockfile'], run: (s) => ['bun', 'run', s] },
  { name: 'bun', lock: 'bun.lockb', install: ['bun', 'install', '--frozen-lockfile'], run: (s) => ['bun', 'run', s] },
];
/** Yarn before 2 does not know `--immutable`. */
const classicYarn = ['yarn', 'install', '--frozen-lockfile'];

interface Framework {
  /** The package that tells it. */
  package: string;
  is: string;
  /** What starts it where `scripts.start` says nothing that is better. */
  start?: string[];
  /** Variables that it reads its address from, beside HOST and PORT. */
  env?: Record<string, string>;
  /** Its own start is better than the script's: the script names the wrong mode, or no host. */
  prefer?: boolean;
}

/** Those that are built on another one come first. */
const frameworks: Framework[] = [
  {
    package: 'next',
    is: 'Next',
    start: ['node', 'node_modules/next/dist/bin/next', 'start'],
    env: { HOSTNAME: '${host}' },
    prefer: true,
  },
  { package: 'nuxt', is: 'Nuxt', start: ['node', '.output/server/index.mjs'], prefer: true },
  { package: '@sveltejs/kit', is: 'SvelteKit', start: ['node', 'build'], prefer: true },
  { package: 'astro', is: 'Astro', start: ['node', 'dist/server/entry.mjs'], prefer: true },
  { package: '@remix-run/serve', is: 'Remix' },
  { package: '@react-router/serve', is: 'React Router' },
  { package: '@nestjs/core', is: 'Nest', start: ['node', 'dist/main.js'], prefer: true },
  { package: 'fastify', is: 'Fastify' },
  { package: 'koa', is: 'Koa' },
  { package: 'hono', is: 'Hono' },
  { package: '@hapi/hapi', is: 'hapi' },
  { package: 'express', is: 'Express' },
];

/** Node.js: frameworks, scripts, package managers. */
export function node(folder: Folder): Facts {
  const manifest = manifestOf(folder);
  if (manifest === undefined) return {};
  const { packages, scripts } = manifest;
  const framework = frameworks.find((one) => packages[one.package] !== undefined);
  const version = asVersion(manifest.version);
  const name = asName(manifest.name ?? '');
  const start = startOf(folder, manifest, framework);
  const { prepare, notes } = prepareOf(folder, manifest);
  return {
    ...(framework === undefined ? {} : { is: fact(framework.is, `package.json dependencies.${framework.package}`) }),
    ...(name === '' ? {} : { name: fact(name, 'package.json name') }),
    ...(version === undefined || version === '0.0.0' ? {} : { version: fact(version, 'package.json version') }),
    ...(start === undefined ? {} : { prepare, services: [{ name: 'web', start }] }),
    ...(framework?.env === undefined
      ? {}
      : {
          env: Object.fromEntries(
            Object.entries(framework.env).map(([k, v]) => [k, fact(v, `${framework.is} reads it`)]),
          ),
        }),
    workers: Object.entries(scripts)
      .filter(([script]) => /^(start:)?(worker|queue|jobs?)$/.test(script))
      .map(([script, line]) => ({ name: 'worker', start: fact(commandOf(line), `package.json scripts.${script}`) })),
    notes: [...notes, ...fixedPort(folder, framework)],
  };
}

function startOf(folder: Folder, { scripts, main }: Manifest, framework?: Framework): Fact<string[]> | undefined {
  if (framework?.start !== undefined && framework.prefer === true)
    return fact(framework.start, `${framework.is}, package.json dependencies.${framework.package}`);
  for (const script of ['start:prod', 'start', 'serve']) {
    const line = scripts[script];
    if (line !== undefined) return fact(commandOf(line), `package.json scripts.${script}`);
  }
  const file = [main, 'server.js', 'server.mjs', 'server.ts', 'app.js', 'index.js', 'src/server.js', 'src/index.js']
    .filter((one) => one !== undefined)
    .find((one) => has(folder, one) && /listen\s*\(|createServer/.test(folder.read(one) ?? ''));
  return file === undefined ? undefined : fact(['node', file], `${file} listens`);
}

/** Programs that a script names and that come with Node.js or the system, not with a package. */
const ofSystem = /^(node|npm|npx|pnpm|yarn|bun|sh|bash|env|python3?|exec)$/;

/** A script's line as an argument list: its program is one of the packages' where it is none of the system's. */
export function commandOf(line: string): string[] {
  const argv = argvOf(line.replace(/^cross-env\s+/, ''));
  if (argv[0] === 'sh') {
    const script = argv[2] ?? '';
    return ['sh', '-c', /(^|\s)node\s/.test(script) ? script : `PATH="$PWD/node_modules/.bin:$PATH"; ${script}`];
  }
  // What watches the files of a developer: the file that it runs comes last.
  if (argv[0] === 'nodemon' || argv[0] === 'node-dev') return ['node', argv.at(-1) ?? '.'];
  if (argv[0] === undefined || ofSystem.test(argv[0]) || argv[0].includes('/')) return argv;
  return [`node_modules/.bin/${argv[0]}`, ...argv.slice(1)];
}

function prepareOf(folder: Folder, { scripts, packages }: Manifest): { prepare: Fact<string[]>[]; notes: string[] } {
  const locks = managers.filter(({ lock }) => has(folder, lock));
  const manager = locks[0];
  const other = locks.find(({ name }) => name !== manager?.name);
  const notes =
    other === undefined || manager === undefined
      ? []
      : [
          `there are two lock files, ${manager.lock} and ${other.lock}: ${manager.name} was taken; remove the one that is not used`,
        ];
  const classic = manager?.name === 'yarn' && /yarn lockfile v1/.test(folder.read('yarn.lock') ?? '');
  const install =
    manager === undefined
      ? Object.keys(packages).length === 0
        ? []
        : [fact(['npm', 'install'], 'package.json; there is no lock file, so every build may get other packages')]
      : [fact(classic ? classicYarn : manager.install, manager.lock)];
  const run = (manager ?? managers[0])?.run;
  const build =
    scripts['build'] === undefined || run === undefined ? [] : [fact(run('build'), 'package.json scripts.build')];
  return { prepare: [...install, ...build], notes };
}

/** A port that is written into the source: two instances cannot both have it. */
function fixedPort(folder: Folder, framework: Framework | undefined): string[] {
  if (framework?.prefer === true && framework.package !== '@nestjs/core') return [];
  const found = grep(folder, source, /\.listen\(\s*(?:\{\s*port:\s*)?(\d{2,5})\b/);
  if (found === undefined) return [];
  return [
    `${found.file} listens on ${found.match[1]}, whatever PORT says: two instances of it cannot run; write listen(process.env.PORT)`,
  ];
}

/** Folders of a repository of several packages, and what is in them. Empty where this folder is an application itself. */
export function workspaces(folder: Folder): string[] {
  const manifest = manifestOf(folder);
  const listed = manifest?.workspaces !== undefined || has(folder, 'pnpm-workspace.yaml') || has(folder, 'lerna.json');
  if (!listed) return [];
  return folder.files
    .filter((file) => /^[^/]+(\/[^/]+)?\/package\.json$/.test(file))
    .map((file) => file.slice(0, -'/package.json'.length));
}

/** Whether `file` is there under any of the endings of a script. */
export const script = (folder: Folder, name: string): string | undefined =>
  find(folder, new RegExp(`^${name}\\.(c?[jt]s|mjs|mts)$`));
