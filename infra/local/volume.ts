import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Whether a path is on a volume that Linux encrypts (dm-crypt). Undefined where that cannot be told: another system, or a
 * volume that Linux does not encrypt, below which a disk or a host may.
 */
export async function volumeEncrypted(path: string, sysfs = '/sys/dev/block'): Promise<true | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return undefined;
  return (await isEncrypted(join(sysfs, deviceNumber(found.dev)))) ? true : undefined;
}

/** `254:0`: how Linux packs major and minor number into one, see makedev(3). */
export function deviceNumber(dev: number): string {
  const device = BigInt(dev);
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

/** A device, or one that it is made of (a logical volume on an encrypted disk). */
async function isEncrypted(device: string): Promise<boolean> {
  const uuid = await readFile(join(device, 'dm', 'uuid'), 'utf8').catch(() => '');
  if (uuid.startsWith('CRYPT-')) return true;
  const below = await readdir(join(device, 'slaves')).catch(() => []);
  const all = await Promise.all(below.map((name) => isEncrypted(join(device, 'slaves', name))));
  // All of them: a volume over an encrypted and a plain disk is not encrypted.
  return all.length > 0 && all.every(Boolean);
}
