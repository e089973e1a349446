// How a tool was installed: recorded by the set-up for its own tools, otherwise asked of the system.
import { execFile } from 'node:child_process';
import { readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

const record = 'origin.json';

/** @param {{ way: 'pinned' | 'checksums' | 'go' | 'pypi' | 'wheel', from?: string, publisher?: string }} origin */
export function recordOrigin(folder, origin) {
  writeFileSync(join(folder, record), JSON.stringify(origin));
}

function recorded(real) {
  // A program of a wheel lies a few folders deep.
  for (let folder = dirname(real); folder !== dirname(folder); folder = dirname(folder)) {
    try {
      return JSON.parse(readFileSync(join(folder, record), 'utf8'));
    } catch {
      // The record is not in this folder.
    }
  }
  return undefined;
}

function words({ way, from, publisher }) {
  if (way === 'go') return 'built by Go';
  if (way === 'pypi') return 'PyPI, pinned versions';
  if (way === 'wheel') return 'PyPI, pinned digest';
  const place = from === publisher ? from : `a mirror, ${from}`;
  if (way === 'pinned') return `official binary from ${place}, pinned digest`;
  return from === publisher
    ? `official binary from ${from}, publisher's checksums`
    : `binary and checksums from ${place}`;
}

const debianPackage = (path) =>
  new Promise((resolve) => {
    execFile('dpkg-query', ['-S', path], { timeout: 10_000 }, (error, stdout) => {
      resolve(error === null ? /^([a-z0-9.+-]+)(?:[:,]\S*)*: /m.exec(stdout)?.[1] : undefined);
    });
  });

/**
 * The origin as text, for `doctor`.
 * @param {string} path where the program was found
 */
export async function describeOrigin(path, toolsDirectory) {
  const real = realpathSync(path);
  const origin = recorded(real);
  if (origin !== undefined) return words(origin);
  if (path.startsWith(join(toolsDirectory, '/'))) return 'an earlier set-up';
  if ((process.env['GREENLIGHT_TOOLS'] ?? '').split(delimiter).includes(dirname(path))) return 'GREENLIGHT_TOOLS';
  if (/\/(Cellar|Caskroom)\//.test(real)) return 'Homebrew';
  const name = (await debianPackage(path)) ?? (real === path ? undefined : await debianPackage(real));
  return name === undefined ? 'found on PATH' : `Debian package ${name}`;
}
