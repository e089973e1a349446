// Where Greenlight itself lies. Plain JavaScript, because the set-up and the launcher run it on Node 20.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of Greenlight's programs and of what they read: its repository, or `dist/` of its package. */
export const packageRoot = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** Whether this is the package, made by `npm pack`. In it `package.json` lies beside `dist/`, not inside. */
export const isInstalled = !existsSync(join(packageRoot, 'package.json'));

/** A directory of the XDG Base Directory Specification, which ignores relative paths. */
const userDirectory = (variable, ...byDefault) => {
  const set = process.env[variable] ?? '';
  return join(set.startsWith('/') ? set : join(homedir(), ...byDefault), 'greenlight');
};

/** What the set-up of this user may lose: of a package, all its projects share it. */
export const cacheDirectory = () => userDirectory('XDG_CACHE_HOME', '.cache');

/** What all projects of this user know of each other. */
export const sharedStateDirectory = () => userDirectory('XDG_STATE_HOME', '.local', 'state');

/**
 * Where the set-up puts what it installs, its lock and its logs. Projects share the tools of a package; other pinned versions are
 * other folders, so that an update of one project changes no tool under a release of another.
 */
export function setUpDirectory() {
  if (!isInstalled) return join(packageRoot, '.greenlight');
  const pinned = readFileSync(join(packageRoot, 'automation', 'toolchain', 'tools.json'));
  return join(cacheDirectory(), createHash('sha256').update(pinned).digest('hex').slice(0, 12));
}
