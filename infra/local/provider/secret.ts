import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { colours } from '../../model.ts';
import type { SecretName } from '../lib/layout.ts';
import { layoutOf, place, type Handler } from './handler.ts';

/** 32 bytes: nobody guesses it, and its hash, which the engine's state holds, tells nothing about it. */
const bytes = 32;

const names: SecretName[] = [
  'route',
  ...colours.flatMap((colour): SecretName[] => [`${colour}-admin`, `${colour}-owner`, `${colour}-app`]),
];
const inputs = place.extend({ name: z.enum(names) });
type Inputs = z.infer<typeof inputs>;
interface Computed {
  sha256: string;
}

/** A random secret, in a file of its own that only its owner may read. The value never enters the engine's state. */
export const secret: Handler<Inputs, Computed> = {
  inputs,
  async create(of) {
    const existing = await hashOf(of);
    if (existing !== undefined) return existing;
    const file = layoutOf(of).secretFile(of.name);
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(`${file}.new`, `${randomBytes(bytes).toString('base64url')}\n`, { mode: 0o600 });
    await rename(`${file}.new`, file);
    return (await hashOf(of)) as Computed;
  },
  async read(state) {
    const found = await hashOf(state);
    if (found === undefined) return 'absent';
    if (found.sha256 !== state.sha256) return { drift: 'the secret was changed' };
    const { mode } = await stat(layoutOf(state).secretFile(state.name));
    return (mode & 0o077) === 0 ? 'as recorded' : { drift: 'others may read the secret' };
  },
  async update(of) {
    const file = layoutOf(of).secretFile(of.name);
    const value = await readFile(file);
    await writeFile(`${file}.new`, value, { mode: 0o600 });
    await rename(`${file}.new`, file);
    return (await hashOf(of)) as Computed;
  },
  async delete(state) {
    await rm(layoutOf(state).secretFile(state.name), { force: true });
  },
};

async function hashOf(of: Inputs): Promise<Computed | undefined> {
  const value = await readFile(layoutOf(of).secretFile(of.name), 'utf8').catch(() => '');
  if (value.trim() === '') return undefined;
  return { sha256: createHash('sha256').update(value.trim()).digest('hex') };
}
