// Where programs are looked for. Plain JavaScript, because the set-up runs it on Node 20, before Node 24 is there.
import { accessSync, constants, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Other file names of the same program: Debian's prefix, and the browsers that are Chromium. */
const aliases = {
  alertmanager: ['prometheus-alertmanager'],
  chromium: ['chromium-browser', 'google-chrome-stable', 'google-chrome'],
  zap: ['zap.sh'],
};

/** PostgreSQL's server programs are not on PATH on Debian, nor are Homebrew's versioned ones. Newest first. */
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
      return []; // Not this system.
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
 * Directories searched, best first: GREENLIGHT_TOOLS (another version of a tool, or a stand-in that breaks on purpose),
 * the project's own tools, PostgreSQL's, PATH, and where servers are put.
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

/** Absolute path of the first executable of that name, or undefined. */
export function findProgram(name, directories) {
  for (const directory of directories) {
    for (const file of [name, ...(aliases[name] ?? [])]) {
      const path = join(directory, file);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // Look on.
      }
    }
  }
  return undefined;
}
