import { createHmac, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../../lib/atomic-file.ts';
import { OperationError } from '../../lib/errors.ts';
import type { EnvironmentName } from '../../model.ts';
import type { ApplicationSecrets } from '../../platform/secrets.ts';
import { Layout } from './layout.ts';

const keyBytes = 32;
/** `app-<name>.<version>`; the name has no dot. */
const kept = /^app-([a-z][a-z0-9-]*)\.([0-9a-f]{32})$/;

/**
 * One file per version in `secrets/` of the environment, mode 0600. The version is an HMAC of the value with a key of the environment:
 * of a short secret, a plain hash in the engine's state would tell the value to whoever tries all.
 */
export function createLocalSecrets(
  layoutOf = (environment: EnvironmentName): Layout => new Layout(environment),
): ApplicationSecrets {
  const versionOf: ApplicationSecrets['versionOf'] = async (environment, value) => {
    const key = await keyOf(layoutOf(environment));
    return createHmac('sha256', key).update(value).digest('hex').slice(0, 32);
  };
  const current: ApplicationSecrets['current'] = async (environment) =>
    JSON.parse((await readIfThere(currentFile(layoutOf(environment)))) ?? '{}') as Record<string, string>;
  const files = async (layout: Layout) => {
    const names = await readdir(layout.secrets()).catch(() => []);
    return names.flatMap((file) => {
      const [, name, version] = kept.exec(file) ?? [];
      return name === undefined || version === undefined ? [] : [{ path: join(layout.secrets(), file), name, version }];
    });
  };
  return {
    versionOf,
    current,

    async keep(environment, values) {
      const layout = layoutOf(environment);
      const versions: Record<string, string> = {};
      for (const [name, value] of Object.entries(values)) {
        const version = await versionOf(environment, value);
        await replaceFile(layout.applicationSecretFile(`${name}.${version}`), value);
        versions[name] = version;
      }
      await mkdir(layout.secrets(), { recursive: true, mode: 0o700 });
      await replaceFile(currentFile(layout), `${JSON.stringify(versions)}\n`);
      return versions;
    },

    async values(environment) {
      const layout = layoutOf(environment);
      const entries = Object.entries(await current(environment)).map(async ([name, version]) => {
        const file = layout.applicationSecretFile(`${name}.${version}`);
        const value = await readIfThere(file);
        if (value !== undefined) return [name, value] as const;
        const todo = 'read the secrets from their sources again: npm run secrets -- --rotate';
        throw new OperationError(`reading the secret ${name} of ${environment}`, `${file} is missing`, todo);
      });
      return Object.fromEntries(await Promise.all(entries));
    },

    async everyValue(environment) {
      return Promise.all((await files(layoutOf(environment))).map(({ path }) => readFile(path, 'utf8')));
    },

    async prune(environment, used) {
      const inUse = [await current(environment), ...used];
      for (const { path, name, version } of await files(layoutOf(environment)))
        if (!inUse.some((versions) => versions[name] === version)) await rm(path, { force: true });
    },
  };
}

const currentFile = (layout: Layout): string => join(layout.secrets(), 'app.json');

/** The key of the environment's versions. Made when it is first needed. */
async function keyOf(layout: Layout): Promise<string> {
  const file = join(layout.secrets(), 'version-key');
  const there = (await readIfThere(file))?.trim();
  if (there !== undefined && there !== '') return there;
  await mkdir(layout.secrets(), { recursive: true, mode: 0o700 });
  const key = randomBytes(keyBytes).toString('base64url');
  await replaceFile(file, `${key}\n`);
  return key;
}

async function readIfThere(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}
