// Which way a tool came here: recorded beside what the set-up installs, asked of the system for the rest.
import { execFile } from 'node:child_process';
import { readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

const record = 'origin.json';

/** @param {{ way: 'pinned' | 'checksums' | 'go' | 'pypi', from?: string, publisher?: string }} origin */
export function recordOrigin(folder, origin) {
  writeFileSync(join(folder, record), JSON.stringify(origin));
}

function recorded(real) {
  for (const folder of [dirname(real), dirname(dirname(real))]) {
    try {
      return JSON.parse(readFileSync(join(folder, record), 'utf8'));
    } catch {
      // Not this folder.
    }
  }
  return undefined;
}

function words({ way, from, publisher }) {
  if (way === 'go') return 'built by Go';
  if (way === 'pypi') return 'PyPI, pinned versions';
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
 * In words for `doctor`.
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
