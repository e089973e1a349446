import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** State "listening" in the kernel's tables of sockets, proc(5). */
const listening = '0A';

/**
 * What listens on a TCP port of this machine, as the end of a sentence: `process 4711, "node server.js"`. `another program` where
 * that cannot be known: on another system than Linux, or where the process is another user's.
 */
export function describeListener(port: number): string {
  const inodes = new Set(['tcp', 'tcp6'].flatMap((table) => inodesOf(table, port)));
  for (const pid of entries('/proc').filter((name) => /^\d+$/.test(name))) {
    const holds = entries(`/proc/${pid}/fd`).some((fd) => {
      const target = /^socket:\[(\d+)\]$/.exec(attempt(() => readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? '')?.[1];
      return target !== undefined && inodes.has(target);
    });
    if (inodes.size > 0 && holds) return `process ${pid}${commandOf(pid)}`;
  }
  return 'another program';
}

function inodesOf(table: string, port: number): string[] {
  const lines = attempt(() => readFileSync(`/proc/net/${table}`, 'utf8'))?.split('\n') ?? [];
  return lines.flatMap((line) => {
    const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/);
    return state === listening && inode !== undefined && Number.parseInt(local.split(':')[1] ?? '', 16) === port
      ? [inode]
      : [];
  });
}

/** The program and its first argument. Further ones may be secrets. */
function commandOf(pid: string): string {
  const words = attempt(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'))?.split('\0') ?? [];
  const said = words.slice(0, 2).filter(Boolean).join(' ');
  return said === '' ? '' : `, "${said}"`;
}

const entries = (directory: string): string[] => attempt(() => readdirSync(directory)) ?? [];

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
