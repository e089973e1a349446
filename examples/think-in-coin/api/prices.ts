import type { Answer } from '../http.ts';

/** Milliseconds that an answer of the feed is used for, and that the feed may take. */
const freshMs = 10_000;
const timeoutMs = 1000;

interface Prices {
  source: string;
  asOf: string;
  prices: { symbol: string; name: string; eur: number }[];
}

let last: { at: number; prices: Prices } | undefined;
let asking: Promise<Prices> | undefined;

async function ask(url: string): Promise<Prices> {
  const response = await fetch(new URL('/prices', url), { signal: AbortSignal.timeout(timeoutMs) });
  if (!response.ok) throw new Error(`the price feed answered ${response.status}`);
  const body = (await response.json()) as Prices;
  if (!Array.isArray(body.prices)) throw new Error('the price feed answered without prices');
  last = { at: Date.now(), prices: body };
  return body;
}

/** Today's prices of some coins. The feed being down is part of the answer, never an error: lessons go on without it. */
export async function prices(url = process.env['PRICE_FEED_URL']): Promise<Answer> {
  if (last && Date.now() - last.at < freshMs) return { status: 200, body: { available: true, ...last.prices } };
  try {
    if (!url) throw new Error('no price feed is configured');
    // Requests that come meanwhile share one question to the feed.
    asking ??= ask(url).finally(() => (asking = undefined));
    return { status: 200, body: { available: true, ...(await asking) } };
  } catch (error) {
    console.error(JSON.stringify({ level: 'warn', message: `price feed: ${(error as Error).message}` }));
    const known = last
      ? { source: last.prices.source, asOf: last.prices.asOf, prices: last.prices.prices }
      : { prices: [] };
    return { status: 200, body: { available: false, reason: 'The price feed does not answer.', ...known } };
  }
}
