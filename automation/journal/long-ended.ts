import type { JournalEntry } from './events.ts';
import { formatDuration, plural } from './format.ts';

/** One sentence about the connections that were ended after a flip. */
export function longEnded({
  colour,
  webSockets,
  streams,
  ms,
}: Omit<Extract<JournalEntry, { type: 'connections.ended' }>, 'at' | 'type'>): string {
  const counts = [
    ...(webSockets === 0 ? [] : [plural(webSockets, 'WebSocket')]),
    ...(streams === 0 ? [] : [`${plural(streams, 'stream')} of events or of another long answer`]),
  ];
  return `${counts.join(' and ')} to ${colour} ${webSockets + streams === 1 ? 'was' : 'were'} ended in ${formatDuration(ms)}, so that the clients connect to the live colour`;
}
