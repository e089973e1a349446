import { Agent, request } from 'node:https';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Writers, in a process of their own, so that they and the program that switches do not wait for each other:
 * `node hold-writers.ts <port> <CA file> <writers> <writes per second>`, started with an IPC channel. Any message ends them, and
 * they send all their writes.
 */

/** A write: whose, its number, when it was sent and answered (`clock`), and whether it was acknowledged. */
export type Write = [writer: number, n: number, sent: number, answered: number, acknowledged: boolean];

/** The machine's monotonic clock, which all processes share, ms. */
const clock = (): number => Number(process.hrtime.bigint()) / 1e6;

const [port, caFile = '', writers, perSecond] = process.argv.slice(2);
const everyMs = (1000 * Number(writers)) / Number(perSecond);
const agent = new Agent({ ca: readFileSync(caFile), keepAlive: true, maxSockets: Number(writers) });
const writes: Write[] = [];
let running = true;

const post = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const sent = request(
      { host: '127.0.0.1', servername: 'localhost', port: Number(port), path, method: 'POST', agent },
      (response) => {
        response.on('error', () => resolve(false));
        response.on('end', () => resolve(response.statusCode === 200)).resume();
      },
    );
    sent.on('error', () => resolve(false));
    sent.end();
  });

/** Keeps to a timetable. What is late is sent at once, as users do not wait for each other. */
async function write(writer: number): Promise<void> {
  let due = clock() + (everyMs * writer) / Number(writers);
  for (let n = 0; running; n++) {
    await sleep(Math.max(0, due - clock()));
    const sent = clock();
    const acknowledged = await post(`/api/${writer}/${n}`);
    writes.push([writer, n, sent, clock(), acknowledged]);
    due = Math.max(due + everyMs, sent);
  }
}

// The second: the program that switches is gone.
for (const end of ['message', 'disconnect']) process.on(end, () => (running = false));
await Promise.all(Array.from({ length: Number(writers) }, (_, writer) => write(writer)));
process.send?.(writes, () => {
  agent.destroy();
  if (process.connected) process.disconnect();
});
