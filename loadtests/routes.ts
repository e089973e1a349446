import { journeyOptions, nextVisit, send, startTogether, summary } from './lib/greenlight.ts';

/**
 * The journey of an application that has no script of its own: every path of PATHS (JSON) in turn, by GET. It writes nothing, and
 * no answer is looked at but for its status.
 */

const paths = JSON.parse(__ENV['PATHS'] ?? '["/"]') as string[];
/** A comma would end the name where k6 reads its thresholds. */
const nameOf = (path: string): string => `GET ${path.replaceAll(',', '%2C')}`;
const endpoints = paths.map(nameOf);

export const options = journeyOptions({ requests: paths.length, endpoints });

export const setup = startTogether;

export default function visit(): void {
  const i = nextVisit();
  if (i === undefined) return;
  // Who waits for the journey to begin reads this line: there is no ledger.
  if (i === 0) console.log(JSON.stringify({ journey: 'begun' }));
  for (const path of paths) send({ method: 'GET', path, name: nameOf(path) });
}

export const handleSummary = (data: Parameters<typeof summary>[0]): Record<string, string> => summary(data, endpoints);
