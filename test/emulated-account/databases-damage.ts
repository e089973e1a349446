import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';

export type Damage = 'start' | 'pages';

const pageBytes = 8192;
/** Relations of the system catalogue have smaller numbers. */
const firstOwn = 16_384;

/** Overwrites bytes in the files of a base backup, so that PostgreSQL detects the damage. */
export async function damageFiles(data: string, how: Damage): Promise<void> {
  if (how === 'start') return overwrite(join(data, 'global/pg_control'), 0);
  const entries = await readdir(join(data, 'base'), { recursive: true, withFileTypes: true });
  const own = entries.filter(({ name }) => /^\d+$/.test(name) && Number(name) >= firstOwn);
  const files = own.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  for (const file of files) await overwrite(file, 1000);
}

/** Inverts some bytes of every page, from `offset` on. */
async function overwrite(path: string, offset: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const { size } = await file.stat();
    for (let page = 0; page < size; page += pageBytes) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(64), 0, 64, page + offset);
      await file.write(
        buffer.map((byte) => byte ^ 0xff),
        0,
        bytesRead,
        page + offset,
      );
    }
  } finally {
    await file.close();
  }
}
