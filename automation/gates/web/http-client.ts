import { readFile } from 'node:fs/promises';
import { Agent, errors, request, type Dispatcher } from 'undici';
import { greenlight } from '../../../infra/lib/command.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import type { EntryPoint } from '../../../infra/platform/router.ts';
import { userAgent } from '../../../infra/lib/user-agent.ts';

/** By lower-case name. A header that occurred several times is a list; `set-cookie` always is one. */
export type AnswerHeaders = Record<string, string | string[] | undefined> & { 'set-cookie'?: string[] };

export interface Answer {
  status: number;
  headers: AnswerHeaders;
  body: string;
}

export interface Question {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  /** True: the answer's body is not read, and `body` is empty. */
  headOnly?: boolean;
}

/** Sends one request to an entry point. Redirects are not followed, so that each answer can be judged. */
export type Ask = (path: string, question?: Question) => Promise<Answer>;

/** Milliseconds without a byte after which a request fails. */
const patienceMs = 10_000;

/**
 * A client of one entry point. It trusts the entry point's CA, and ignores proxy variables of the shell. `Ask` rejects
 * with an OperationError if there is no answer.
 */
export async function clientOf(
  entry: Pick<EntryPoint, 'baseUrl' | 'caFile'>,
  routeHeaders: Record<string, string> = {},
): Promise<Ask> {
  const ca = entry.caFile === undefined ? undefined : await readFile(entry.caFile, 'utf8');
  const dispatcher = new Agent({
    connect: { ca, timeout: patienceMs },
    headersTimeout: patienceMs,
    bodyTimeout: patienceMs,
  });
  return async (path, { method = 'GET', headers, body, headOnly = false } = {}) => {
    const url = new URL(path, entry.baseUrl);
    try {
      const sent = { ...userAgent, ...routeHeaders, ...headers };
      const answer = await request(url, { dispatcher, method, headers: sent, body });
      const { 'set-cookie': cookies, ...others } = answer.headers;
      return {
        status: answer.statusCode,
        headers: cookies === undefined ? others : { ...others, 'set-cookie': [cookies].flat() },
        body: headOnly ? drop(answer.body) : await answer.body.text(),
      };
    } catch (error) {
      throw new OperationError(
        `asking ${method} ${url.pathname}`,
        whyUnanswered(error as Error),
        `check that the entry point is up: ${greenlight('status')}`,
        { cause: error },
      );
    }
  };
}

/** Ends an answer whose body nobody reads. */
function drop(body: Dispatcher.ResponseData['body']): string {
  // Otherwise the end of the connection would be an error that nobody handles.
  body.on('error', () => undefined);
  body.destroy();
  return '';
}

function whyUnanswered(error: Error): string {
  const { HeadersTimeoutError, BodyTimeoutError, ConnectTimeoutError } = errors;
  const isTimeout = [HeadersTimeoutError, BodyTimeoutError, ConnectTimeoutError].some((kind) => error instanceof kind);
  return isTimeout ? `no answer within ${patienceMs / 1000} s` : error.message || 'no connection';
}
