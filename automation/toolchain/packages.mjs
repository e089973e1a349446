// The packages of package-lock.json. Node.js 24 is one of them.
import { accessSync, constants, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './command.mjs';

const lockedPackages = (file) => {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch {
    return undefined;
  }
};

export function packagesPresent(root) {
  try {
    accessSync(join(root, 'node_modules', '.bin', 'node'), constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Whether the installed packages are those of package-lock.json. npm writes `node_modules/.package-lock.json` last, so
 * it is absent after an interrupted installation.
 */
export function packagesCurrent(root) {
  const wanted = lockedPackages(join(root, 'package-lock.json'));
  const installed = lockedPackages(join(root, 'node_modules', '.package-lock.json'));
  if (wanted === undefined || installed === undefined || !packagesPresent(root)) return false;
  return Object.entries(wanted).every(
    ([path, { version, optional, devOptional }]) =>
      path === '' ||
      installed[path]?.version === version ||
      // Packages for other processors and systems are listed, but not installed.
      ((optional === true || devOptional === true) && installed[path] === undefined),
  );
}

/** Runs `npm ci` with the npm that started this process, or the one on PATH. Throws a SetupProblem. */
export async function installPackages(root, { offline, logs }, progress) {
  const npm = process.env['npm_execpath'];
  const [command, ...first] = npm === undefined ? ['npm'] : [process.execPath, npm];
  const argv = [...first, 'ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  if (offline) argv.push('--offline');
  const log = join(logs, 'setup-packages.log');
  const step = { name: 'npm packages', what: 'as locked', lane: 'npm', seconds: 15 };
  await progress.step(step, () => run('installing the npm packages', command, argv, { cwd: root, log }));
}
