import { readFileSync } from 'node:fs';

/** Milliseconds between two looks. */
const lookMs = 200;

/** Memory of a program at one moment. */
export interface Sample {
  /** ms since the epoch. */
  at: number;
  /** Resident, MB. */
  megabytes: number;
}

/** Records the memory of a program until it has ended. Linux only: elsewhere there is no `/proc`, and nothing is recorded. */
export function watchMemory(pid: number, ended: Promise<unknown>): readonly Sample[] {
  const samples: Sample[] = [];
  const timer = setInterval(() => {
    const megabytes = residentOf(pid);
    if (megabytes !== undefined) samples.push({ at: Date.now(), megabytes });
  }, lookMs);
  void ended.finally(() => clearInterval(timer));
  return samples;
}

/** The most of the samples in [from, to); undefined without one. */
export function mostBetween(samples: readonly Sample[], from: number, to: number): number | undefined {
  const most = samples.reduce((max, { at, megabytes }) => (at < from || at >= to ? max : Math.max(max, megabytes)), 0);
  return most === 0 ? undefined : Math.round(most);
}

function residentOf(pid: number): number | undefined {
  try {
    const [, kB] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return kB === undefined ? undefined : Number(kB) / 1024;
  } catch {
    return undefined; // It has just ended.
  }
}
