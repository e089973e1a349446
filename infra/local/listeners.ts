import { readFile } from 'node:fs/promises';
import { execa } from 'execa';
import { bareEnvironment } from '../child-environment.ts';

/** State `LISTEN` in `/proc/net/tcp` (Linux, `include/net/tcp_states.h`). */
const listening = '0A';

/**
 * Addresses (`host:port`) on which somebody listens on one of `ports`: from the kernel's table on Linux, from lsof
 * elsewhere. Undefined where neither is to be had.
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

/** Lines of lsof's field output that begin with `n` hold the address. */
export const parseLsof = (output: string): string[] => [
  ...new Set(output.split('\n').flatMap((line) => (line.startsWith('n') ? [line.slice(1)] : []))),
];

/** Reads the kernel's table of sockets. */
export function parseListeners(table: string): string[] {
  const addresses = table.split('\n').flatMap((line) => {
    const [, local, , state] = line.trim().split(/\s+/);
    const [host, port] = local?.split(':') ?? [];
    if (state !== listening || host === undefined || port === undefined) return [];
    return [`${readAddress(host)}:${Number.parseInt(port, 16)}`];
  });
  return [...new Set(addresses)];
}

/** The kernel writes an address as 32-bit words in the machine's byte order, here little endian. */
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
