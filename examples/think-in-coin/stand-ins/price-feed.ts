import { HttpError, serve } from '../http.ts';

/**
 * Stands in for the price feed of a third party where none is configured. Its prices are made up and say so; they
 * move a little with the minute, so that a page that shows them is seen to be alive.
 */
const coins = [
  { symbol: 'BTC', name: 'Bitcoin', eur: 52_000 },
  { symbol: 'ETH', name: 'Ether', eur: 2_400 },
  { symbol: 'XAU', name: 'Gold, 1 oz', eur: 2_150 },
];

const at = (now: number) =>
  coins.map((coin, i) => ({
    ...coin,
    eur: Math.round(coin.eur * (1 + 0.01 * Math.sin(now / 600_000 + i)) * 100) / 100,
  }));

serve(
  (_request, url) => {
    if (url.pathname === '/healthz') return { status: 200, body: { status: 'ok', source: 'stand-in' } };
    if (url.pathname !== '/prices') throw new HttpError(404, 'There is nothing here.');
    const now = Math.floor(Date.now() / 60_000) * 60_000;
    return { status: 200, body: { source: 'stand-in', asOf: new Date(now).toISOString(), prices: at(now) } };
  },
  () => new HttpError(500, 'The stand-in failed.'),
);
