// Finds programs. Plain JavaScript, because the set-up runs it on Node 20, before Node 24 is installed.
import { accessSync, constants, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Alternative file names: Debian's prefix, other builds of Chromium, ZAP's start script. */
const aliases = {
  alertmanager: ['prometheus-alertmanager'],
  chromium: ['chromium-browser', 'google-chrome-stable', 'google-chrome'],
  zap: ['zap.sh'],
};

/** PostgreSQL's programs, newest first. Debian and Homebrew do not put them on PATH. */
function postgresDirectories() {
  const roots = [
    { root: '/usr/lib/postgresql', pattern: /^(\d+)$/ },
    { root: '/opt/homebrew/opt', pattern: /^postgresql@(\d+)$/ },
    { root: '/usr/local/opt', pattern: /^postgresql@(\d+)$/ },
  ];
  return roots.flatMap(({ root, pattern }) => {
    let names;
    try {
      names = readdirSync(root);
    } catch {
      return []; // The directory does not exist on this system.
    }
    return names
      .map((name) => ({ name, major: Number(pattern.exec(name)?.[1] ?? 0) }))
      .filter(({ major }) => major > 0)
      .sort((a, b) => b.major - a.major)
      .map(({ name }) => join(root, name, 'bin'));
  });
}

const directoriesOf = (variable) => (process.env[variable] ?? '').split(delimiter).filter(Boolean);

/**
 * Directories to search, in order: GREENLIGHT_TOOLS (other versions of tools, or stand-ins for tests), the project's
 * own
 * tools, PostgreSQL's, PATH, and directories for servers that may be missing from PATH.
 */
export function searchPath(ownBin) {
  const path = directoriesOf('PATH');
  return [
    ...directoriesOf('GREENLIGHT_TOOLS'),
    ownBin,
    ...postgresDirectories(),
    ...path,
    '/usr/sbin',
    '/usr/local/sbin',
    '/opt/homebrew/bin',
  ];
}

/** Absolute path of the first executable with this name or an alias, or undefined. */
export function findProgram(name, directories) {
  for (const directory of directories) {
    for (const file of [name, ...(aliases[name] ?? [])]) {
      const path = join(directory, file);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // Not found: try the next one.
      }
    }
  }
  return undefined;
}
