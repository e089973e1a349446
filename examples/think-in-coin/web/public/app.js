import { call, element, find } from './api.js';
import { startLessons } from './lessons.js';
import { showYou, startYou } from './you.js';

async function showPrices() {
  const { available, reason, source, prices } = await call('GET', '/api/prices');
  const euro = new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR' });
  find('prices').replaceChildren(
    ...prices.flatMap(({ name, eur }) => [element('dt', { textContent: name }), element('dd', { textContent: euro.format(eur) })]),
  );
  find('prices-note').textContent = available ? (source === 'stand-in' ? 'Made-up prices of a stand-in feed.' : `Source: ${source}`) : reason;
}

startLessons();
startYou();
showYou().catch((error) => (find('found').textContent = error.message));
showPrices().catch((error) => (find('prices-note').textContent = error.message));
