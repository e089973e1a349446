import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { replaceFile } from '../../lib/atomic-file.ts';
import { colours } from '../../model.ts';
import type { SecretName } from '../lib/layout.ts';
import { layoutOf, place, type Handler } from './handler.ts';

/** Enough that neither the secret nor the SHA-256 in the engine's state can be guessed. */
const bytes = 32;
/** Length in base64url. */
const characters = Math.ceil((bytes * 4) / 3);

const names: SecretName[] = [
  'route',
  ...colours.flatMap((colour): SecretName[] => [`${colour}-admin`, `${colour}-owner`, `${colour}-app`]),
];
const inputs = place.extend({ name: z.enum(names) });
type Inputs = z.infer<typeof inputs>;
interface Computed {
  sha256: string;
}

/** A random secret in a file with mode 0600. The engine's state has only its hash. */
export const secret: Handler<Inputs, Computed> = {
  inputs,
  async create(of) {
    const existing = hashOf(of);
    if (existing !== undefined) return existing;
    const file = layoutOf(of).secretFile(of.name);
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await replaceFile(file, `${randomBytes(bytes).toString('base64url')}\n`);
    return hashOf(of) as Computed;
  },
  async read(state) {
    const found = hashOf(state);
    if (found === undefined) return 'absent';
    if (found.sha256 !== state.sha256) return { drift: 'the secret was changed' };
    const { mode } = await stat(layoutOf(state).secretFile(state.name));
    return (mode & 0o077) === 0 ? 'as recorded' : { drift: 'other users can read the secret' };
  },
  async update(of) {
    const file = layoutOf(of).secretFile(of.name);
    await replaceFile(file, await readFile(file));
    return hashOf(of) as Computed;
  },
  async delete(state) {
    await rm(layoutOf(state).secretFile(state.name), { force: true });
  },
};

/** Undefined if there is no file. Throws an OperationError if the file is empty or too short. */
function hashOf(of: Inputs): Computed | undefined {
  const layout = layoutOf(of);
  if (!existsSync(layout.secretFile(of.name))) return undefined;
  const value = layout.secret(of.name);
  if (value.length < characters)
    throw layout.damagedSecret(of.name, `is cut off: ${value.length} of ${characters} characters`);
  return { sha256: createHash('sha256').update(value).digest('hex') };
}
