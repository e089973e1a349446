import type { ReleaseSettings } from './context.ts';
import { messageOf } from '../../infra/errors.ts';

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

type Announcer = Pick<ReleaseSettings, 'definition' | 'environment' | 'journal'>;
