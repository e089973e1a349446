import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { securityHeaders } from './security-headers.ts';

/** An answer that is not a success: its text is for the user. */
export class HttpError extends Error {
  readonly status: number;
  readonly headers: Record<string, string>;

  constructor(status: number, message: string, headers: Record<string, string> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

export interface Answer {
  status: number;
  /** Sent as JSON, unless it is a Buffer. */
  body?: unknown;
  headers?: Record<string, string>;
}

export type Handler = (request: IncomingMessage, url: URL) => Promise<Answer> | Answer;

/** Largest JSON body accepted, bytes: chat messages are the longest input, at 500 characters. */
const maxBody = 16 * 1024;

/**
 * Reads a JSON object. Rejects with 415 for any other content type, which also keeps out forms of foreign sites: a
 * browser sends JSON across origins only after a preflight, and none is ever allowed here.
 */
export async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  const type = request.headers['content-type'] ?? '';
  if (type.split(';')[0]?.trim().toLowerCase() !== 'application/json') throw new HttpError(415, 'Send JSON.');
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBody) throw new HttpError(413, 'That is too long.', { connection: 'close' });
    chunks.push(chunk);
  }
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8') || '{}');
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Answered below, like any other value that is not an object.
  }
  throw new HttpError(400, 'The body is not a JSON object.');
}

/** Which colour answered: behind a balancer that cannot say it (on AWS), the service does. */
const colour = process.env['GREENLIGHT_COLOUR'];
/**
 * Seconds for which who has just written reads from the live colour: until a canary that is behind is noticed, and its reads are
 * taken back, which takes up to 15 s on AWS.
 */
const wroteSeconds = 20;
const wrote = `greenlight_wrote=1; Max-Age=${wroteSeconds}; Path=/; HttpOnly; Secure; SameSite=Lax`;

/** What Greenlight's contract asks for where the balancer does not do it: the colour, and the cookie of who has written. */
function contractHeaders(request: IncomingMessage, answer: Answer): Record<string, string | string[]> {
  const writes = request.method !== 'GET' && request.method !== 'HEAD';
  const own = answer.headers?.['set-cookie'];
  return {
    ...(colour === undefined ? {} : { 'x-greenlight-colour': colour }),
    ...(writes ? { 'set-cookie': own === undefined ? [wrote] : [own, wrote] } : {}),
  };
}

function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  const body =
    answer.body === undefined
      ? undefined
      : Buffer.isBuffer(answer.body)
        ? answer.body
        : Buffer.from(JSON.stringify(answer.body));
  response.writeHead(answer.status, {
    ...securityHeaders,
    ...(body && !Buffer.isBuffer(answer.body) ? { 'content-type': 'application/json; charset=utf-8' } : {}),
    ...(body || answer.status !== 304 ? { 'content-length': String(body?.length ?? 0) } : {}),
    ...answer.headers,
    ...contractHeaders(request, answer),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

async function answer(
  handler: Handler,
  failure: (error: unknown) => HttpError,
  request: IncomingMessage,
): Promise<Answer> {
  try {
    return await handler(request, new URL(request.url ?? '/', 'http://service'));
  } catch (error) {
    const known = error instanceof HttpError ? error : failure(error);
    return { status: known.status, body: { error: known.message }, headers: known.headers };
  }
}

/**
 * Serves on HOST:PORT until SIGTERM or SIGINT: then accepts no more, finishes what is in flight, runs `close` and
 * exits with 0. `failure` turns an unexpected error into an answer.
 */
export function serve(handler: Handler, failure: (error: unknown) => HttpError, close?: () => Promise<void>): Server {
  let stopping = false;
  const server = createServer((request, response) => {
    void answer(handler, failure, request).then((result) => {
      // A connection kept alive would keep a stopping process from ending.
      if (stopping) response.setHeader('connection', 'close');
      if (!response.destroyed) send(request, response, result);
    });
  });
  // Longer than a balancer keeps idle connections, so that it is never the service that closes one just in use.
  server.keepAliveTimeout = 75_000;
  server.headersTimeout = 80_000;
  const stop = (): void => {
    stopping = true;
    server.close(() => {
      void (close?.() ?? Promise.resolve()).then(() => process.exit(0));
    });
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  server.listen(Number(process.env['PORT'] ?? 3000), process.env['HOST'] ?? '127.0.0.1', () => {
    const address = server.address();
    console.log(
      JSON.stringify({
        level: 'info',
        message: 'listening',
        port: typeof address === 'object' ? address?.port : address,
      }),
    );
  });
  return server;
}
