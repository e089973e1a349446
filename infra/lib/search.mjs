// Finds programs. Plain JavaScript, because the set-up runs it on Node 20, before Node 24 is installed.
import { accessSync, constants, readdirSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

/** Alternative file names: Debian's prefix, other builds of Chromium, ZAP's start script. */
const aliases = {
  alertmanager: ['prometheus-alertmanager'],
  chromium: ['chromium-browser', 'google-chrome-stable', 'google-chrome'],
  zap: ['zap.sh'],
};

/** The installed versions of PostgreSQL, newest first. Debian and Homebrew do not put their programs on PATH. */
function installedPostgres() {
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
      .map(({ name, major }) => ({ major, directory: join(root, name, 'bin') }));
  });
}

/**
 * The directory with the programs of one major version of PostgreSQL, or undefined: that of the program `postgres-<major>`, which is
 * how the set-up names one, or the system's.
 */
export function postgresOf(major, directories) {
  const named = findProgram(`postgres-${major}`, directories);
  if (named !== undefined) return dirname(realpathSync(named));
  const installed = installedPostgres().filter((found) => found.major === major);
  return installed.map(({ directory }) => directory).find((directory) => findProgram('postgres', [directory]));
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
    ...installedPostgres().map(({ directory }) => directory),
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
