import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createFileSync } from '../../lib/atomic-file.ts';
import { OperationError } from '../../lib/errors.ts';
import { home, stateDirectory } from '../../lib/paths.ts';
import type { EngineSettings } from '../../platform/engine.ts';
import { toolPath } from '../../lib/tools.ts';
import { plugin } from '../provider/plugin.ts';
import { directoryStateFiles } from './state-files.ts';

export const passphraseFile = (): string => join(home(), 'passphrase');

const restore =
  'restore the file from a backup; without one, see "The passphrase is wrong or missing" in docs/runbook.md';

/**
 * File backend and passphrase below `.greenlight/`. The engine reads the passphrase from a file, not from a variable.
 */
export function localEngineSettings(): EngineSettings {
  const file = passphraseFile();
  mkdirSync(home(), { recursive: true, mode: 0o700 });
  if (!existsSync(file)) {
    if (existsSync(join(stateDirectory(), '.pulumi', 'stacks')))
      throw new OperationError(
        'opening the state of the engine',
        `${file} is missing: the state cannot be decrypted without it`,
        restore,
      );
    createFileSync(file, `${randomBytes(32).toString('base64url')}\n`);
  }
  if (readFileSync(file, 'utf8').replaceAll('\0', '').trim() === '')
    throw new OperationError(
      'opening the state of the engine',
      `${file} is empty: the state cannot be decrypted without it`,
      restore,
    );
  mkdirSync(stateDirectory(), { recursive: true, mode: 0o700 });
  return {
    backendUrl: pathToFileURL(stateDirectory()).href,
    state: directoryStateFiles(stateDirectory()),
    secretsProvider: 'passphrase',
    stackConfig: () => ({}),
    policyPacks: [],
    // The provider uses the resource name as the id.
    idOf: ({ urn }) => urn.split('::').at(-1),
    volatile: {},
    env: { PULUMI_CONFIG_PASSPHRASE_FILE: file },
    pulumiCommand: toolPath('pulumi'),
    plugins: [plugin],
  };
}
