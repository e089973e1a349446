import { readFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import { OperationError } from '../../../infra/lib/errors.ts';
import type { EntryPoint } from '../../../infra/platform/router.ts';
import { userAgent } from '../../../infra/lib/user-agent.ts';

export interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: string;
}

export interface Question {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

/** Asks an entry point. Redirects are not followed, so that each answer can be judged. */
export type Ask = (path: string, question?: Question) => Promise<Answer>;

/** Milliseconds without a byte after which an answer counts as missing. */
const patienceMs = 10_000;

/** A client of one entry point that trusts its authority. `Ask` rejects with an OperationError without an answer. */
export async function clientOf(
  entry: Pick<EntryPoint, 'baseUrl' | 'caFile'>,
  headers: Record<string, string> = {},
): Promise<Ask> {
  const ca = entry.caFile === undefined ? undefined : await readFile(entry.caFile);
  return (path, question = {}) => {
    const url = new URL(path, entry.baseUrl);
    const { request } = url.protocol === 'https:' ? https : http;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const outgoing = request(
      url,
      {
        method: question.method ?? 'GET',
        headers: { ...userAgent, ...headers, ...question.headers },
        ca,
        timeout: patienceMs,
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('error', reject);
        incoming.on('end', () =>
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            body: Buffer.concat(chunks).toString('utf8'),
          }),
        );
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${patienceMs / 1000} s`)));
    outgoing.on('error', reject);
    outgoing.end(question.body);
    return promise.catch((error: Error) => {
      const doing = `asking ${question.method ?? 'GET'} ${url.pathname}`;
      throw new OperationError(
        doing,
        error.message || 'no connection',
        'check that the entry point is up: npm run status',
        { cause: error },
      );
    });
  };
}
