import { parentPort, workerData } from 'node:worker_threads';

/** Runs a Lambda function in this thread: one call per message. */
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
