import { once } from 'node:events';
import { Agent, createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decode } from './decode.ts';
import { Faults, errorAnswer } from './faults.ts';
import type { Answer, Call, Hook } from './hooks.ts';

export interface Gateway {
  /** Value for AWS_ENDPOINT_URL. */
  endpoint: string;
  faults: Faults;
  /** Adds hooks. They run in the order in which they were added. */
  use(hooks: Hook[]): void;
  /** Errors that hooks threw so far: errors of the emulation. The caller got the error `HookFailed`. */
  hookErrors: unknown[];
  close(): Promise<void>;
}

/**
 * A proxy in front of moto. Calls without a hook pass unchanged. The host stays the gateway's, because moto builds URLs
 * (of queues) from it.
 */
export async function startGateway(options: { moto: string; hooks?: Hook[]; port?: number }): Promise<Gateway> {
  const upstream = new URL(options.moto);
  const agent = new Agent({ keepAlive: true });
  const hooks = [...(options.hooks ?? [])];
  const faults = new Faults();
  const hookErrors: unknown[] = [];
  const inTurn = turns();

  const answerTo = async (call: Call): Promise<Answer> => {
    const mine = hooks.filter(({ service, actions }) => service === call.service && actions.includes(call.action));
    for (const hook of mine) {
      const answer = await hook.before?.(call);
      if (answer !== undefined) return answer;
    }
    let answer = await inTurn(call, () => forward(call, upstream, agent));
    for (const hook of answer.status < 300 ? mine : []) answer = (await hook.after?.(call, answer)) ?? answer;
    return answer;
  };

  const serve = async (incoming: IncomingMessage, response: ServerResponse) => {
    const call = decode(await received(incoming));
    const fault = faults.next(call);
    if (fault?.delayMs !== undefined) await fault.delay();
    if (fault?.kind === 'drop') return incoming.socket.destroy();
    const answer = fault?.answer(call) ?? (await answerTo(call).catch((error: unknown) => failed(call, error)));
    if (fault?.kind === 'answer-lost') return incoming.socket.destroy();
    send(response, call, answer);
  };

  const failed = (call: Call, error: unknown): Answer => {
    hookErrors.push(error);
    const text = error instanceof Error ? error.message : String(error);
    // A code that clients do not retry.
    return errorAnswer(call, { status: 400, code: 'HookFailed', message: `${call.service} ${call.action}: ${text}` });
  };

  const server = createServer((incoming, response) => {
    serve(incoming, response).catch((error: unknown) => {
      hookErrors.push(error);
      response.destroy();
    });
  });
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    faults,
    hookErrors,
    use: (more) => void hooks.push(...more),
    close: async () => {
      faults.close();
      agent.destroy();
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/**
 * Writes of one S3 object reach moto one after another. S3 judges a conditional write atomically; moto judges and writes in two
 * steps, so that two writers at once may both meet `If-None-Match: *`.
 */
function turns() {
  const last = new Map<string, Promise<unknown>>();
  return async (call: Call, work: () => Promise<Answer>): Promise<Answer> => {
    if (call.service !== 's3' || call.method === 'GET' || call.method === 'HEAD') return work();
    const path = call.url.split('?')[0] ?? call.url;
    const mine = (last.get(path) ?? Promise.resolve()).then(work, work);
    last.set(path, mine);
    try {
      return await mine;
    } finally {
      if (last.get(path) === mine) last.delete(path);
    }
  };
}

/** Hop-by-hop headers, and those that are set again. */
const hop = new Set(['connection', 'keep-alive', 'transfer-encoding', 'expect', 'te', 'upgrade', 'content-length']);

async function received(incoming: IncomingMessage): Promise<Pick<Call, 'method' | 'url' | 'headers' | 'body'>> {
  const { method = 'GET', url = '/' } = incoming;
  return { method, url, headers: flat(incoming.headersDistinct), body: await whole(incoming) };
}

async function whole(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const flat = (headers: NodeJS.Dict<string[]>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, values]) => [name, (values ?? []).join(', ')]));

const without = (headers: Record<string, string>) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !hop.has(name)));

/** Sends the client's request to moto. */
async function forward(call: Call, { hostname, port }: URL, agent: Agent): Promise<Answer> {
  const headers = { ...without(call.headers), 'content-length': String(call.body.length) };
  const asked = request({ hostname, port, agent, method: call.method, path: call.url, headers, setHost: false });
  asked.end(call.body);
  const [message] = (await once(asked, 'response')) as [IncomingMessage];
  const body = await whole(message);
  return { status: message.statusCode ?? 502, headers: flat(message.headersDistinct), body };
}

function send(response: ServerResponse, call: Call, { status, headers, body }: Answer): void {
  response.statusCode = status;
  for (const [name, value] of Object.entries(without(headers))) response.setHeader(name, value);
  // For HEAD, the length that a GET would have.
  const length = call.method === 'HEAD' ? headers['content-length'] : String(body.length);
  if (length !== undefined && status !== 204 && status !== 304) response.setHeader('content-length', length);
  response.end(call.method === 'HEAD' ? undefined : body);
}
