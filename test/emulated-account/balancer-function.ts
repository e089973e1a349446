import type { IncomingMessage } from 'node:http';
import { Worker } from 'node:worker_threads';

/** Answer of a function to a balancer. */
export interface FunctionAnswer {
  statusCode: number;
  headers?: Record<string, string>;
  body?: string;
}

export interface FunctionOptions {
  /** URL of moto, which knows the environment variables of each function. */
  moto: string;
  region: string;
  /** Environment variables with which a function reaches the account. */
  env: Record<string, string>;
  /** Source file of every function that a balancer calls. There is one: that of the write hold. */
  file: string;
}

interface Running {
  worker: Worker;
  waiting: Map<number, { resolve: (answer: FunctionAnswer) => void; reject: (error: Error) => void }>;
}

/** Lambda functions. Each runs in a thread with its own environment, which is kept between calls as in Lambda. */
export class Functions {
  /** Output of the functions. */
  readonly log: string[] = [];
  readonly #options: FunctionOptions;
  readonly #running = new Map<string, Promise<Running>>();
  #calls = 0;

  constructor(options: FunctionOptions) {
    this.#options = options;
  }

  async invoke(arn: string, event: object): Promise<FunctionAnswer> {
    const running = this.#running.get(arn) ?? this.#start(arn);
    this.#running.set(arn, running);
    const { worker, waiting } = await running;
    const id = this.#calls++;
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      worker.postMessage({ id, event });
    });
  }

  /** Called after a function has changed, so that the next call starts it again. */
  async forget(): Promise<void> {
    const all = [...this.#running.values()];
    this.#running.clear();
    await Promise.allSettled(all.map(async (running) => (await running).worker.terminate()));
  }

  async #start(arn: string): Promise<Running> {
    const { file, env, region } = this.#options;
    const worker = new Worker(new URL('./balancer-worker.ts', import.meta.url), {
      workerData: { file },
      stdout: true,
      stderr: true,
      env: { PATH: process.env['PATH'], AWS_REGION: region, ...env, ...(await this.#environmentOf(arn)) },
    });
    for (const stream of [worker.stdout, worker.stderr])
      stream.on('data', (text: Buffer) => this.log.push(String(text)));
    const waiting: Running['waiting'] = new Map();
    worker.on('message', ({ id, answer, error }: { id: number; answer: FunctionAnswer; error?: string }) => {
      if (error === undefined) waiting.get(id)?.resolve(answer);
      else waiting.get(id)?.reject(new Error(error));
      waiting.delete(id);
    });
    const ends = (error: Error) => {
      this.#running.delete(arn);
      for (const { reject } of waiting.values()) reject(error);
    };
    worker.once('error', (error) => ends(error as Error));
    worker.once('exit', () => ends(new Error(`the function ${arn} ended`)));
    return { worker, waiting };
  }

  /** Environment variables of the function in moto. Empty if the function does not exist. */
  async #environmentOf(arn: string): Promise<Record<string, string>> {
    const { moto, region } = this.#options;
    const scope = `AWS4-HMAC-SHA256 Credential=balancer/20260101/${region}/lambda/aws4_request`;
    const response = await fetch(`${moto}/2015-03-31/functions/${encodeURIComponent(arn)}/configuration`, {
      headers: { authorization: `${scope}, SignedHeaders=host, Signature=none` },
    });
    const text = await response.text();
    if (!response.ok) return {};
    return (JSON.parse(text) as { Environment?: { Variables?: Record<string, string> } }).Environment?.Variables ?? {};
  }
}

/** The event for a function: the request without its body. */
export function eventOf(request: IncomingMessage, targetGroupArn: string): object {
  const [path = '/', query = ''] = (request.url ?? '/').split('?', 2);
  return {
    requestContext: { elb: { targetGroupArn } },
    httpMethod: request.method,
    path,
    queryStringParameters: Object.fromEntries(new URLSearchParams(query)),
    headers: Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)])),
    body: '',
    isBase64Encoded: false,
  };
}
