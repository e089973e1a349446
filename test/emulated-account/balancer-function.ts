import type { IncomingMessage } from 'node:http';
import { Worker } from 'node:worker_threads';

/** What a function has to answer to a balancer. */
export interface FunctionAnswer {
  statusCode: number;
  headers?: Record<string, string>;
  body?: string;
}

export interface FunctionOptions {
  /** Moto itself: knows the environment of each function. */
  moto: string;
  region: string;
  /** How a function finds the account. */
  env: Record<string, string>;
  /** The source of every function that a balancer calls; there is one, the fence's. */
  file: string;
}

interface Running {
  worker: Worker;
  waiting: Map<number, { resolve: (answer: FunctionAnswer) => void; reject: (error: Error) => void }>;
}

/** Functions of Lambda, each in a thread with an environment of its own, kept between calls as Lambda does. */
export class Functions {
  /** What they wrote, as Lambda would log it. */
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

  /** After a change of a function: the next call starts it anew. */
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

  /** Of the function in moto; none where it is not there. */
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

/** A request as a balancer hands it to a function, without its body. */
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
