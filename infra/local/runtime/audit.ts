import { readdir, stat, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { AuditFacts } from '../../platform/environment.ts';
import type { Layout, Ports } from '../lib/layout.ts';
import { execa } from 'execa';
import { bareEnvironment } from '../../lib/child-environment.ts';

/** Modes of the secret files, addresses of the listeners, and encryption of the volume. */
export async function auditLocal(layout: Layout): Promise<AuditFacts> {
  const directory = dirname(layout.secretFile('route'));
  const names = await readdir(directory);
  const secretFiles = await Promise.all(
    [...names.map((name) => join(directory, name)), join(layout.certificates(), 'server.key')].map(async (path) => ({
      path,
      mode: (await stat(path)).mode & 0o777,
    })),
  );
  return {
    secretFiles,
    listeners: await listenersOf(allPorts(layout.ports())),
    publicPorts: [],
    volumeEncrypted: await volumeEncrypted(directory),
  };
}

function allPorts(ports: Ports): number[] {
  const { database, instances, integrations, ...single } = ports;
  const services = Object.values(instances).flatMap((byService) => Object.values(byService).flat());
  return [...Object.values(single), ...Object.values(database), ...services, ...Object.values(integrations)];
}

/** State `LISTEN` in `/proc/net/tcp` (Linux, `include/net/tcp_states.h`). */
const listening = '0A';

/**
 * Addresses (`host:port`) of listeners on these ports, from the kernel's table on Linux and from lsof elsewhere.
 * Undefined if neither is available.
 */
export async function listenersOf(ports: readonly number[]): Promise<string[] | undefined> {
  const [v4, v6] = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map((file) => readFile(file, 'utf8').catch(() => undefined)),
  );
  const all = v4 === undefined ? await listenersByLsof() : parseListeners(v4 + (v6 ?? ''));
  return all?.filter((address) => ports.includes(Number(address.slice(address.lastIndexOf(':') + 1))));
}

async function listenersByLsof(): Promise<string[] | undefined> {
  const found = await execa('lsof', ['-nP', '-iTCP', '-sTCP:LISTEN', '-Fn'], { ...bareEnvironment(), reject: false });
  return found.exitCode === 0 ? parseLsof(found.stdout) : undefined;
}

/** Addresses in lsof's field output: the lines that start with `n`. */
export const parseLsof = (output: string): string[] => [
  ...new Set(output.split('\n').flatMap((line) => (line.startsWith('n') ? [line.slice(1)] : []))),
];

/** Addresses of listening sockets in the format of `/proc/net/tcp`. */
export function parseListeners(table: string): string[] {
  const addresses = table.split('\n').flatMap((line) => {
    const [, local, , state] = line.trim().split(/\s+/);
    const [host, port] = local?.split(':') ?? [];
    if (state !== listening || host === undefined || port === undefined) return [];
    return [`${readAddress(host)}:${Number.parseInt(port, 16)}`];
  });
  return [...new Set(addresses)];
}

/** The kernel prints an address as 32-bit words in the machine's byte order. Assumes little endian. */
function readAddress(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => [...Buffer.from(word, 'hex')].reverse());
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.every((b) => b === 0)) return '[::]';
  if (bytes.slice(0, 15).every((b) => b === 0) && bytes[15] === 1) return '[::1]';
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16),
  );
  if (bytes.slice(0, 10).every((b) => b === 0) && bytes[10] === 0xff && bytes[11] === 0xff)
    return `[::ffff:${bytes.slice(12).join('.')}]`;
  return `[${groups.join(':')}]`;
}

/**
 * True if a path is on a volume encrypted by Linux (dm-crypt). Undefined if unknown: on another system, or if the
 * volume is not encrypted by Linux but may be by its disk or host.
 */
export async function volumeEncrypted(path: string, sysfs = '/sys/dev/block'): Promise<true | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return undefined;
  return (await isEncrypted(join(sysfs, deviceNumber(found.dev)))) ? true : undefined;
}

/** Major and minor number as `254:0`, from Linux's `dev_t` (makedev(3)). */
export function deviceNumber(dev: number): string {
  const device = BigInt(dev);
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

/** Whether a device or all devices below it are encrypted, such as a logical volume on encrypted disks. */
async function isEncrypted(device: string): Promise<boolean> {
  const uuid = await readFile(join(device, 'dm', 'uuid'), 'utf8').catch(() => '');
  if (uuid.startsWith('CRYPT-')) return true;
  const below = await readdir(join(device, 'slaves')).catch(() => []);
  const all = await Promise.all(below.map((name) => isEncrypted(join(device, 'slaves', name))));
  // A volume over an encrypted and a plain disk is not encrypted.
  return all.length > 0 && all.every(Boolean);
}
