import { journeyOptions, nextVisit, send, startTogether, summary } from './lib/greenlight.ts';

/**
 * A learner's visit to Think in Coin: eight reads and two writes. The learners are signed up before the load
 * starts, as hashing a password is made to be slow. They stay afterwards: their writes are looked for in the database.
 */

const endpoints = [
  'GET /',
  'GET /api/prices',
  'GET /api/lessons',
  'GET /api/lessons/:id',
  'POST /api/progress',
  'GET /api/progress',
  'GET /api/chat',
  'POST /api/chat',
  'PATCH /api/preferences',
  'GET /api/preferences',
  'GET /api/search',
] as const;
type Endpoint = (typeof endpoints)[number];

export const options = journeyOptions({ requests: 10, endpoints });

const learners = 10;
const lessons = ['budget', 'interest', 'emergency', 'inflation', 'risk', 'crypto'];
const questions = ['How do I make a budget?', 'What is inflation?', 'Is bitcoin a good idea?', 'Which debt first?'];
const themes = ['system', 'light', 'dark'];
const words = ['interest', 'money', 'risk', 'coin'];

/** Of these, one per visit, in turn: both versions of a release must be able to take every one of them. */
const pick = <T>(list: readonly T[], i: number): T => list[i % list.length] as T;

type Cookies = Record<string, string>;

interface Learner {
  email: string;
  cookies: Cookies;
}

/** Signs up the learners. Fails the run if one cannot be signed up. */
export function setup(): Learner[] {
  const signedUp = Array.from({ length: learners }, () => {
    const body = {
      email: `k6-${crypto.randomUUID()}@synthetic.invalid`,
      name: 'Load Test',
      password: crypto.randomUUID(),
    };
    const response = send({ method: 'POST', path: '/api/accounts', name: 'POST /api/accounts', body });
    const session = response.cookies['__Host-session']?.[0]?.value;
    if (response.status !== 201 || session === undefined)
      throw new Error(`a learner could not sign up: status ${response.status} ${response.error}`);
    return { email: body.email, cookies: { '__Host-session': session } };
  });
  startTogether();
  return signedUp;
}

const read = (name: Endpoint, path: string, cookies?: Cookies) =>
  send({ method: 'GET', path, name, ...(cookies ? { cookies } : {}) });

function write(name: Endpoint, cookies: Cookies, body: Record<string, unknown>, counter?: string): void {
  const [method, path] = name.split(' ') as ['POST' | 'PATCH', string];
  const key = crypto.randomUUID();
  send({ method, path, name, cookies, key, body: { ...body, key }, ...(counter === undefined ? {} : { counter }) });
}

export default function visit(signedUp: Learner[]): void {
  const i = nextVisit();
  if (i === undefined) return;
  const { email, cookies: me } = pick(signedUp, i);
  const lessonId = pick(lessons, i);
  read('GET /', '/');
  read('GET /api/prices', '/api/prices');
  read('GET /api/lessons', '/api/lessons', me);
  read('GET /api/lessons/:id', `/api/lessons/${lessonId}`, me);
  write('POST /api/progress', me, { lessonId, answer: i % 3 }, `${email} ${lessonId}`);
  read('GET /api/progress', '/api/progress', me);
  read('GET /api/search', `/api/search?q=${pick(words, i)}`);
  if (i % 2 === 0) {
    read('GET /api/chat', '/api/chat', me);
    write('POST /api/chat', me, { message: pick(questions, i / 2) });
  } else {
    read('GET /api/preferences', '/api/preferences', me);
    write('PATCH /api/preferences', me, { theme: pick(themes, i) });
  }
  read('GET /api/chat', '/api/chat', me);
}

export const handleSummary = (data: Parameters<typeof summary>[0]): Record<string, string> => summary(data, endpoints);
