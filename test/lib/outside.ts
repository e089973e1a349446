import { chmod, cp, mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join, sep } from 'node:path';
import { tmpdir } from 'node:os';
import { execa } from 'execa';
import { packageRoot } from '../../infra/lib/paths.ts';

export interface Ended {
  code: number | undefined;
  output: string;
}

/** Makes the package, as for a registry. Resolves to the tarball's path. */
export async function packInto(directory: string): Promise<string> {
  const argv = ['pack', '--json', '--pack-destination', directory];
  const { stdout } = await execa('npm', argv, { cwd: packageRoot, env: quiet, stderr: 'ignore' });
  const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf('['))) as [{ filename: string }];
  return join(directory, filename);
}

/**
 * A repository that is not Greenlight's, with the package installed. Its dependencies are those of this repository, linked, so that
 * nothing is downloaded; the tools are those that the set-up of this repository has installed.
 */
export class Repository {
  readonly directory: string;
  readonly #cache: string;

  constructor(directory: string) {
    this.directory = directory;
    this.#cache = join(directory, 'cache');
  }

  static async with(tarball: string, files: Record<string, string>): Promise<Repository> {
    const root = await mkdtemp(join(tmpdir(), 'greenlight-outside-'));
    // The database server's user has to get through to its data.
    await chmod(root, 0o755);
    const repository = new Repository(root);
    const modules = join(root, 'node_modules');
    await mkdir(join(modules, '.bin'), { recursive: true });
    await execa('tar', ['-xzf', tarball, '-C', modules]);
    await rename(join(modules, 'package'), join(modules, 'greenlight'));
    await symlink(join(packageRoot, 'node_modules'), join(modules, 'greenlight', 'node_modules'));
    await symlink(join('..', 'greenlight', 'bin', 'greenlight.mjs'), join(modules, '.bin', 'greenlight'));
    for (const [name, text] of Object.entries(files)) await repository.write(name, text);
    return repository;
  }

  async write(name: string, text: string): Promise<void> {
    const file = join(this.directory, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }

  /** Makes a package of this repository's node_modules the application's own, too. */
  link = (name: string): Promise<void> =>
    symlink(join(packageRoot, 'node_modules', name), join(this.directory, 'node_modules', name));

  copy = (name: string, to: string): Promise<void> =>
    cp(join(this.directory, name), join(this.directory, to), { recursive: true, verbatimSymlinks: true });

  /** `npx greenlight ...` in this repository or in a folder of it, on the machine's Node.js. */
  greenlight = (...args: string[]): Promise<Ended> => this.run('npx', ['greenlight', ...args]);

  async run(
    program: string,
    args: string[],
    { cwd = '.', env = {} }: { cwd?: string; env?: object } = {},
  ): Promise<Ended> {
    const path = (process.env['PATH'] ?? '')
      .split(delimiter)
      .filter((entry) => !entry.includes(`${sep}node_modules${sep}`));
    const { exitCode, all } = await execa(program, args, {
      cwd: join(this.directory, cwd),
      env: {
        ...process.env,
        ...quiet,
        PATH: path.join(delimiter),
        CI: 'true',
        GREENLIGHT_OFFLINE: '1',
        GREENLIGHT_TOOLS: join(packageRoot, '.greenlight', 'tools', 'bin'),
        GREENLIGHT_HOME: undefined,
        GREENLIGHT_PROJECT: undefined,
        INIT_CWD: undefined,
        XDG_CACHE_HOME: this.#cache,
        ...env,
      },
      all: true,
      reject: false,
      stdin: 'ignore',
    });
    return { code: exitCode, output: all };
  }

  /** Files below the installed package, without its dependencies. */
  async files(): Promise<string[]> {
    const root = join(this.directory, 'node_modules', 'greenlight');
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
  }

  remove = (): Promise<void> => rm(this.directory, { recursive: true, force: true });
}

const quiet = { npm_config_update_notifier: 'false', npm_config_loglevel: 'error' };
