import { randomUUID } from 'node:crypto';

/** Base URL of the release under test, and headers to send with every request. */
const base = process.env['BASE_URL'] ?? '';
const routeHeaders = JSON.parse(process.env['ROUTE_HEADERS'] ?? '{}') as Record<string, string>;

export interface Reply {
  status: number;
  headers: Headers;
  text: string;
  body: Record<string, unknown>;
}

/** A browser's worth of a client: keeps its cookies, sends JSON. */
export class Client {
  readonly base: string;
  readonly cookies = new Map<string, string>();

  constructor(url = base) {
    if (!url) throw new Error('BASE_URL is missing: give the URL of the release to test.');
    this.base = url;
  }

  async send(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Reply> {
    const response = await fetch(new URL(path, this.base), {
      method,
      redirect: 'manual',
      signal: AbortSignal.timeout(10_000),
      headers: {
        ...routeHeaders,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(this.cookies.size ? { cookie: [...this.cookies].map((pair) => pair.join('=')).join('; ') } : {}),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    for (const line of response.headers.getSetCookie()) {
      const [name = '', value = ''] = (line.split(';')[0] ?? '').split('=');
      if (value && !/max-age=0/i.test(line)) this.cookies.set(name, value);
      else this.cookies.delete(name);
    }
    const text = await response.text();
    const json = (response.headers.get('content-type') ?? '').startsWith('application/json');
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: json ? (JSON.parse(text) as Record<string, unknown>) : {},
    };
  }

  get = (path: string): Promise<Reply> => this.send('GET', path);
  post = (path: string, body: unknown): Promise<Reply> => this.send('POST', path, body);
  patch = (path: string, body: unknown): Promise<Reply> => this.send('PATCH', path, body);
}

export const newEmail = (): string => `acceptance-${randomUUID()}@synthetic.invalid`;
export const goodPassword = 'a long enough password';

/** A client with a new account, signed in. */
export async function newLearner(url?: string): Promise<{ client: Client; email: string }> {
  const client = new Client(url);
  const email = newEmail();
  const { status, text } = await client.post('/api/accounts', { email, name: 'Test Learner', password: goodPassword });
  if (status !== 201) throw new Error(`sign-up answered ${status}: ${text}`);
  return { client, email };
}
