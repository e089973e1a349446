import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Colour } from '../../infra/model.ts';
import type { DatabaseAccess } from '../../infra/platform/databases.ts';
import type { EntryPoint } from '../../infra/platform/router.ts';
import { rows, withClient } from '../../automation/data/connect.ts';
import { clientOf, type Answer, type Ask } from '../../automation/gates/web/http-client.ts';

/**
 * Users of the drill's own, who keep books: of every answer to a lesson, which increments one row (`progress.attempts`), they know
 * whether it was acknowledged. Nothing of them is of the release: not k6, not its ledger, not its process.
 */

/** Clients that have an account each, and clients that share one account and one lesson: all of those increment one row. */
const own = 6;
const sharing = 4;
/** Between two writes of one client, ms. */
const pauseMs = 80;
/** How long somebody who was told that it was not done waits, ms. */
const againMs = 50;
/** Longest wait for an acknowledged write, once the release is over, ms. */
const patienceMs = 30_000;
const lessons = ['budget', 'interest', 'emergency'];

/** What the clients of a drill know, and what the live database says. */
export interface IncrementLedger {
  acknowledged: number;
  /** No answer, or one that does not say: the row may have them or not. */
  unknown: number;
  /** Answered that it was not done. */
  refused: number;
  lost: number;
  doubled: number;
  /** Longest time in which nobody's write was acknowledged, ms. */
  longestGapMs: number;
  /** From the fault until the release was over and the live colour acknowledged a write, ms; null: it never did. */
  settledMs: number | null;
}

interface Counter {
  email: string;
  lesson: string;
  acknowledged: number;
  unknown: number;
}

export interface Clients {
  /** Waits for a write that `live` acknowledges from now on; resolves to when that was (ms since the epoch), null where none came. */
  settled(live: Colour): Promise<number | null>;
  /** Ends them and compares their books with the database. May be called once. */
  settle(access: DatabaseAccess): Promise<Omit<IncrementLedger, 'settledMs'>>;
  /** Ends them. May be called again. */
  stop(): Promise<void>;
}

/** Signs the clients up and lets them write until they are stopped. */
export async function startClients(entry: Pick<EntryPoint, 'baseUrl' | 'caFile'>): Promise<Clients> {
  const ask = await clientOf(entry);
  const accounts = await Promise.all(Array.from({ length: own + 1 }, () => signUp(ask)));
  const counters = accounts.flatMap((account, i) =>
    (i === 0 ? lessons.slice(0, 1) : lessons).map((lesson) => ({ ...account, lesson, acknowledged: 0, unknown: 0 })),
  );
  const stopping = new AbortController();
  const seen = { refused: 0, lastAt: Date.now(), lastBy: undefined as string | undefined, longestGapMs: 0 };
  const acknowledge = (by: string | undefined): void => {
    const now = Date.now();
    seen.longestGapMs = Math.max(seen.longestGapMs, now - seen.lastAt);
    Object.assign(seen, { lastAt: now, lastBy: by });
  };

  const write = async (counter: Counter & Account): Promise<void> => {
    const outcome = await increment(ask, counter);
    if (outcome.is === 'refused') {
      seen.refused += 1;
      await sleep(againMs);
    } else counter[outcome.is] += 1;
    if (outcome.is === 'acknowledged') acknowledge(outcome.by);
  };
  const user = async (account: number): Promise<void> => {
    const mine = counters.filter(({ email }) => email === accounts[account]?.email);
    for (let turn = 0; !stopping.signal.aborted; turn += 1) {
      await write(mine[turn % mine.length] as Counter & Account);
      await sleep(pauseMs);
    }
  };
  const users = [...Array.from({ length: sharing }, () => 0), ...Array.from({ length: own }, (_, i) => i + 1)];
  const done = Promise.all(users.map(user));
  done.catch(() => undefined);
  const stop = async (): Promise<void> => {
    stopping.abort();
    await done;
  };

  return {
    stop,
    async settled(live) {
      const from = Date.now();
      while (seen.lastAt <= from || seen.lastBy !== live) {
        if (Date.now() > from + patienceMs) return null;
        await sleep(10);
      }
      return seen.lastAt;
    },
    async settle(access) {
      await stop();
      const gap = Math.max(seen.longestGapMs, Date.now() - seen.lastAt);
      return { ...(await compare(access, counters)), refused: seen.refused, longestGapMs: gap };
    },
  };
}

interface Account {
  email: string;
  cookie: string;
}

async function signUp(ask: Ask): Promise<Account> {
  const email = `books-${randomUUID()}@synthetic.invalid`;
  const body = JSON.stringify({ email, name: 'Keeps Books', password: randomUUID() });
  const { status, headers } = await ask('/api/accounts', { method: 'POST', headers: json, body });
  const session = headers['set-cookie']?.find((line) => line.startsWith('__Host-session='))?.split(';')[0];
  if (status !== 201 || session === undefined) throw new Error(`a client of the drill could not sign up: ${status}`);
  return { email, cookie: session };
}

const json = { 'content-type': 'application/json' };

type Outcome = { is: 'acknowledged'; by: string | undefined } | { is: 'unknown' } | { is: 'refused' };

async function increment(ask: Ask, { cookie, lesson }: Account & { lesson: string }): Promise<Outcome> {
  const body = JSON.stringify({ lessonId: lesson, answer: 1, key: randomUUID() });
  const answer = await ask('/api/progress', { method: 'POST', headers: { ...json, cookie }, body }).catch(
    () => undefined,
  );
  return answer === undefined ? { is: 'unknown' } : outcomeOf(answer);
}

/** A 4xx, or a 503 that asks to come again, says that nothing was done; any other error says nothing. */
export function outcomeOf({ status, headers }: Pick<Answer, 'status' | 'headers'>): Outcome {
  if (status >= 200 && status < 300) {
    const by = headers['x-greenlight-colour'];
    return { is: 'acknowledged', by: Array.isArray(by) ? by[0] : by };
  }
  const notDone = (status >= 400 && status < 500) || (status === 503 && headers['retry-after'] !== undefined);
  return { is: notDone ? 'refused' : 'unknown' };
}

async function compare(access: DatabaseAccess, counters: readonly Counter[]) {
  const sql = `SELECT a.email || ' ' || p.lesson_id AS counter, p.attempts FROM public.accounts a
    JOIN public.progress p ON p.account_id = a.id WHERE a.email = ANY ($1)`;
  const found = await withClient(access, 'admin', (client) =>
    rows<{ counter: string; attempts: number }>(client, sql, [[...new Set(counters.map(({ email }) => email))]]),
  );
  const values = new Map(found.map(({ counter, attempts }) => [counter, attempts]));
  return difference(counters, (counter) => values.get(`${counter.email} ${counter.lesson}`) ?? 0);
}

/** What the rows lack of what was acknowledged, and what they have beyond all that was sent. */
export function difference(counters: readonly Counter[], valueOf: (counter: Counter) => number) {
  const sums = { acknowledged: 0, unknown: 0, lost: 0, doubled: 0 };
  for (const counter of counters) {
    const value = valueOf(counter);
    sums.acknowledged += counter.acknowledged;
    sums.unknown += counter.unknown;
    sums.lost += Math.max(0, counter.acknowledged - value);
    sums.doubled += Math.max(0, value - counter.acknowledged - counter.unknown);
  }
  return sums;
}
