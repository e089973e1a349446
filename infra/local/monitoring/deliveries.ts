import { open, readFile } from 'node:fs/promises';
import { move } from '../../lib/atomic-file.ts';
import type { AlertDelivery } from '../../platform/alerts.ts';

/** Size at which the file is rotated. One older file is kept, as `.1`. */
const maxBytes = 4 * 1024 * 1024;

/**
 * Parses the body of an Alertmanager webhook (version 4). `at` is in ms since the epoch. Throws an Error if it is
 * invalid.
 */
export function parseNotification(body: string, receiver: string, at: number): AlertDelivery[] {
  const { alerts } = JSON.parse(body) as { alerts?: { status?: unknown; labels?: unknown }[] };
  if (!Array.isArray(alerts)) throw new Error('the notification has no list of alerts');
  return alerts.map(({ status, labels }) => {
    if (status !== 'firing' && status !== 'resolved') throw new Error('an alert is neither firing nor resolved');
    const { alertname, ...others } = labels as Record<string, string>;
    if (typeof alertname !== 'string') throw new Error('an alert has no name');
    return { receiver, alert: alertname, status, labels: others, at };
  });
}

/** Appends deliveries and flushes them to disk before they are acknowledged. */
export async function appendDeliveries(file: string, deliveries: AlertDelivery[]): Promise<void> {
  const handle = await open(file, 'a', 0o600);
  let size: number;
  try {
    await handle.appendFile(deliveries.map((delivery) => `${JSON.stringify(delivery)}\n`).join(''));
    await handle.sync();
    ({ size } = await handle.stat());
  } finally {
    await handle.close();
  }
  if (size > maxBytes) await move(file, `${file}.1`);
}

/**
 * Deliveries since `since` (ms since the epoch), oldest first. Ignores an incomplete last line: it was not
 * acknowledged.
 */
export async function readDeliveries(file: string, since: number): Promise<AlertDelivery[]> {
  const texts = await Promise.all([`${file}.1`, file].map((path) => readFile(path, 'utf8').catch(ifMissing)));
  return texts
    .flatMap((text) => text.split('\n').slice(0, -1))
    .map((line) => JSON.parse(line) as AlertDelivery)
    .filter(({ at }) => at >= since);
}

function ifMissing(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return '';
  throw error;
}
