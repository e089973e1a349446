import { setTimeout as sleep } from 'node:timers/promises';
import { send, type Testbed } from '../../../../infra/local/haproxy/testbed.ts';

/** What clients saw of the numbers that they had written themselves. */
export interface Seen {
  reads: number;
  /** Reads that were answered by the colour that is not live. */
  byCanary: number;
  /** Older than what the client had written. */
  stale: number;
  /** When the last of them was, ms after the start. */
  lastStaleMs: number;
}

interface Habits {
  clients: number;
  /** False: what the entry point sets is not sent back, as by most clients of an API. */
  cookies: boolean;
  /** How often each writes and then reads. */
  rounds: number;
  /** How often it reads each time, or for how many ms after its write. */
  reads: { times: number } | { forMs: number };
  /** Pause before each read, ms. */
  everyMs: number;
}

let clients = 0;

/** Runs clients that write a number and then read it. */
export async function readBack(bed: Testbed, habits: Habits): Promise<Seen> {
  const seen: Seen = { reads: 0, byCanary: 0, stale: 0, lastStaleMs: 0 };
  const started = performance.now();
  const agent = bed.agent();
  const { live } = (await bed.router.read()).split ?? {};

  const runClient = async (): Promise<void> => {
    const id = ++clients;
    const jar = new Map<string, { value: string; until: number }>();
    const ask = async (path: string, method: string) => {
      const sent = [...jar]
        .filter(([, { until }]) => until > Date.now())
        .map(([name, { value }]) => `${name}=${value}`);
      const headers: Record<string, string> = sent.length > 0 ? { cookie: sent.join('; ') } : {};
      const answer = await send(bed, agent, path, { method, headers });
      if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.status}`);
      for (const cookie of habits.cookies ? (answer.headers['set-cookie'] ?? []) : []) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
        const age = /Max-Age=(\d+)/.exec(cookie)?.[1];
        jar.set(name, { value, until: age === undefined ? Infinity : Date.now() + Number(age) * 1000 });
      }
      return { n: (answer.body as { n?: number }).n ?? 0, colour: answer.headers['x-greenlight-colour'] };
    };
    const { rounds, reads } = habits;
    for (let round = 1; round <= rounds; round += 1) {
      await ask(`/api/${id}/${round}`, 'POST');
      const wroteAt = performance.now();
      const more = (read: number) =>
        'times' in reads ? read < reads.times : performance.now() - wroteAt < reads.forMs;
      for (let read = 0; more(read); read += 1) {
        await sleep(habits.everyMs);
        const { n, colour } = await ask(`/api/${id}`, 'GET');
        seen.reads += 1;
        if (colour !== live) seen.byCanary += 1;
        // Nobody else writes it: what is not the last one is an older one.
        if (n === round) continue;
        seen.stale += 1;
        seen.lastStaleMs = performance.now() - started;
      }
    }
  };
  await Promise.all(Array.from({ length: habits.clients }, runClient));
  return seen;
}
