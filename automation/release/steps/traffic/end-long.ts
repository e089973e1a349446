import { messageOf } from '../../../../infra/lib/errors.ts';
import type { Colour } from '../../../../infra/model.ts';
import type { Journal } from '../../../journal/journal.ts';
import type { ReleaseContext } from '../../context/context.ts';
import type { Release } from '../../context/release.ts';

/** What is being done in this run, by the colour that was left. */
const begun = new WeakMap<Journal, Map<Colour, Promise<void>>>();

type Context = Pick<ReleaseContext, 'journal' | 'connect' | 'definition' | 'note'>;

/**
 * Ends the connections that outlive the flip, beside everything else: their clients connect again, to the live colour. It stops by itself where
 * `left` is live again. Resolves once nothing of them is left. Called again it goes on with what a run before has begun, and never rejects.
 */
export function endLong(context: Context, left: Colour, signal?: AbortSignal): Promise<void> {
  const ofRun = begun.get(context.journal) ?? new Map<Colour, Promise<void>>();
  begun.set(context.journal, ofRun);
  const work = ofRun.get(left) ?? end(context, left, signal).finally(() => ofRun.delete(left));
  ofRun.set(left, work);
  return work;
}

async function end({ journal, connect, definition, note }: Context, left: Colour, signal?: AbortSignal): Promise<void> {
  const withinMs = definition.cutover.longConnectionsSeconds * 1000;
  try {
    const { router } = await connect();
    const ended = await router.endLong?.(left, withinMs, signal);
    if (ended !== undefined && ended.webSockets + ended.streams > 0)
      journal.append({ type: 'connections.ended', colour: left, ...ended });
  } catch (error) {
    note(
      `the connections to ${left} could not be ended, and last until its instances stop: ${messageOf(error)}`,
      'warning',
    );
  }
}

/** What a dry run says of it. */
export const endsLong = ({ definition, platform }: Pick<Release, 'definition' | 'platform'>, left: Colour): string =>
  platform.endsLong
    ? `end what stays connected to ${left}: WebSockets at once, event streams and other long answers within ${definition.cutover.longConnectionsSeconds} s`
    : `leave what stays connected to ${left} until its instances stop: this balancer cannot end a WebSocket or an event stream`;
