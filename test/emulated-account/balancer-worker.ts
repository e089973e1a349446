import { parentPort, workerData } from 'node:worker_threads';

/** What a function of Lambda is called with, and what it has to answer: once per message, in this thread. */
const { file } = workerData as { file: string };
const loaded = import(file) as Promise<{ handler: (event: unknown, context: object) => Promise<unknown> }>;

parentPort?.on('message', ({ id, event }: { id: number; event: unknown }) => {
  loaded
    .then(({ handler }) => handler(event, {}))
    .then(
      (answer) => parentPort?.postMessage({ id, answer }),
      (error: unknown) => parentPort?.postMessage({ id, error: String(error) }),
    );
});
