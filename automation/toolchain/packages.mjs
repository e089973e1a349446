// The packages of package-lock.json, Node 24 among them.
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
 * Whether what is installed is what package-lock.json says. npm lists what it installed in
 * `node_modules/.package-lock.json`, and writes it last: after an interrupted installation it is absent.
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

/** `npm ci` with the npm that runs this, or the one on PATH. Throws a SetupProblem. */
export async function installPackages(root, offline, progress) {
  const npm = process.env['npm_execpath'];
  const [command, ...first] = npm === undefined ? ['npm'] : [process.execPath, npm];
  const argv = [...first, 'ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  if (offline) argv.push('--offline');
  const log = join(root, '.greenlight', 'setup-packages.log');
  const step = { name: 'npm packages', what: 'as locked', lane: 'npm', seconds: 15 };
  await progress.step(step, () => run('installing the npm packages', command, argv, { cwd: root, log }));
}
