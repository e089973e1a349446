// Tools from PyPI, each in its own virtual environment.
import { execFileSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, searchPath } from '../../infra/lib/search.mjs';
import { isWanted } from './inspect.mjs';
import { run } from './command.mjs';
import { SetupProblem } from './problem.mjs';

/** Interpreters with a version in `range` that can make virtual environments, preferred first. */
export function usablePythons(range) {
  const directories = searchPath('/nonexistent').filter((directory) => !directory.includes('postgresql'));
  const paths = ['python3', 'python3.12', 'python3.11', 'python3.10'].map((name) => findProgram(name, directories));
  const probe = 'import ensurepip, ssl, sys, venv; print("%d.%d" % sys.version_info[:2])';
  return [...new Set([...paths, '/usr/bin/python3'])].filter((path) => {
    if (path === undefined || !existsSync(path)) return false;
    try {
      return isWanted(execFileSync(path, ['-c', probe], { stdio: 'pipe', timeout: 20_000 }).toString().trim(), range);
    } catch {
      return false;
    }
  });
}

const pipInstall = ['-m', 'pip', 'install', '--no-input', '--disable-pip-version-check', '--quiet'];

/** Makes a virtual environment with pip. Resolves to its interpreter. */
async function makeVenv(venv, { pythons, log }) {
  const inside = join(venv, 'bin', 'python3');
  await firstThatWorks(pythons, async (interpreter) => {
    rmSync(venv, { recursive: true, force: true });
    await run('making a Python environment', interpreter, ['-m', 'venv', venv], { log });
    // Some self-built Pythons have TLS, but not in a virtual environment.
    await run('checking the Python environment', inside, ['-c', 'import pip, ssl'], { log });
  });
  return inside;
}

/** Fills `folder` with the files of a wheel that has one of the pinned digests, one for each platform. Resolves to the program's path. */
export async function unpackWheel(tool, folder, { pythons, log }) {
  const { package: name, version, hashes, program } = tool.source;
  const venv = join(folder, 'venv');
  const inside = await makeVenv(venv, { pythons, log });
  const list = join(folder, 'requirements.txt');
  writeFileSync(list, [`${name}==${version}`, ...hashes.map((hash) => `--hash=sha256:${hash}`)].join(' \\\n  '));
  const into = ['--no-deps', '--only-binary=:all:', '--require-hashes', '--target', join(folder, 'files'), '-r', list];
  await run(`installing ${tool.name}`, inside, [...pipInstall, ...into], { log });
  rmSync(venv, { recursive: true, force: true });
  return join('files', program);
}

/** Fills `folder` with a virtual environment with the tool, and a launcher of the tool's name. */
export async function makeEnvironment(tool, folder, { root, pythons, log }) {
  const { package: name, version, entry, constraints } = tool.source;
  const inside = await makeVenv(join(folder, 'venv'), { pythons, log });
  const pinned = ['-c', join(root, constraints), `${name}==${version}`];
  await run(`installing ${tool.name}`, inside, [...pipInstall, ...pinned], { log });
  // pip's launcher contains an absolute path, which would be wrong after the folder is renamed.
  const start = `import sys; sys.argv[0] = "${tool.name}"; ${entry}; sys.exit(main())`;
  const launcher = `#!/bin/sh\nexec "$(dirname "$(readlink -f "$0")")/venv/bin/python3" -I -c '${start}' "$@"\n`;
  writeFileSync(join(folder, tool.name), launcher, { mode: 0o755 });
}

async function firstThatWorks(candidates, attempt) {
  let last;
  for (const candidate of candidates) {
    try {
      return await attempt(candidate);
    } catch (error) {
      last = error;
    }
  }
  throw (
    last ?? new SetupProblem('making a Python environment', 'no Python with venv is there', 'Install python3-venv.')
  );
}
