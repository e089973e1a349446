import { stackName } from '../../../infra/model.ts';
import type { ReleaseSettings } from '../context/context.ts';
import { firstOf, lastOf } from '../../journal/entries.ts';
import type { JournalEntry, ReleaseVerdict } from '../../journal/events.ts';
import { lossForUsers, lossIn } from '../../journal/loss.ts';
import { messageOf } from '../../../infra/lib/errors.ts';

const timeoutMs = 5_000;

/**
 * Tells users what happens, by the configured webhook (`{"text": "..."}`, as chat systems take it); does nothing
 * where none is configured. A failure is recorded, and does not stop a release.
 */
export async function announce({ definition, environment, journal }: Announcer, text: string): Promise<void> {
  const { webhook } = definition.announcements;
  if (webhook === undefined || environment !== 'production') return;
  // Only where it went, never the whole address: it can hold a token.
  const to = new URL(webhook).host;
  try {
    const answer = await fetch(webhook, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ text }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    journal.append({ type: 'announcement.sent', to, text, ok: answer.ok });
  } catch (error) {
    journal.append({ type: 'announcement.sent', to, text: `${text} (not delivered: ${messageOf(error)})`, ok: false });
  }
}

/** Tells users how a release ended, where they were told that it comes, or where they have felt it. */
export async function announceEnd(
  settings: Announcer & Pick<ReleaseSettings, 'to'>,
  verdict: ReleaseVerdict,
): Promise<void> {
  const { definition, to, journal } = settings;
  await announce(settings, `${definition.application.name} ${to.version} ${endFor(journal.entries(), verdict)}.`);
}

/** How a release ended, for users: the end of a sentence. Of the data it says what was compared at the way back, and no more. */
export function endFor(entries: readonly JournalEntry[], verdict: ReleaseVerdict): string {
  if (verdict === 'go') return 'is live';
  const back = lastOf(entries, 'rollback.done');
  if (back !== undefined) return `was taken back; the version before is live, ${lossForUsers(lossIn(back))}`;
  const started = firstOf(entries, 'release.started');
  if (started === undefined || started.from !== undefined) return 'was not released';
  // A first go-live is not taken back once its entry point is open: there is nothing to go back to.
  const traffic = stackName(started.environment, 'traffic');
  return entries.some((entry) => entry.type === 'stack.applied' && entry.stack === traffic)
    ? 'is live'
    : 'was not released';
}

type Announcer = Pick<ReleaseSettings, 'definition' | 'environment' | 'journal'>;
