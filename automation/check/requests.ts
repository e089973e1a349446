import type { Preview } from '../../infra/platform/jobs.ts';
import { clientOf, type Ask } from '../gates/web/http-client.ts';
import { messageOf } from '../../infra/lib/errors.ts';

/** How many requests are sent. */
const wanted = 10;
/** Links that do more than show something. */
const acts = /(log|sign)[-_]?(out|off)|delete|remove|destroy|unsubscribe/i;

export interface Answered {
  path: string;
  /** 0: no answer. */
  status: number;
  ms: number;
  found?: string;
}

/**
 * Paths to ask for: `first`, and then what the pages link to. Where there are fewer than ten, they are asked in turn.
 */
export async function pathsToAsk(preview: Preview, first: readonly string[]): Promise<string[]> {
  const ask = await clientOf(preview);
  const paths = [...new Set(first)];
  for (const path of [...paths]) {
    if (paths.length >= wanted) break;
    const answer = await ask(path).catch(() => undefined);
    for (const link of answer?.status === 200 ? linksIn(answer.body) : [])
      if (paths.length < wanted && !paths.includes(link)) paths.push(link);
  }
  return Array.from({ length: wanted }, (_, index) => paths[index % paths.length] ?? '/');
}

/** Links of a page to this application itself, as paths. */
export const linksIn = (page: string): string[] => [
  ...new Set(
    [...page.matchAll(/<a\b[^>]*?\bhref=["'](\/(?!\/)[^"'#\s]*)["']/gi)]
      .map(([, path = '/']) => path.replaceAll('&amp;', '&'))
      .filter((path) => !acts.test(path)),
  ),
];

/** Sends one request and says how it was answered. Never rejects. */
export async function askOnce(ask: Ask, path: string): Promise<Answered> {
  const began = performance.now();
  try {
    const { status } = await ask(path);
    return { path, status, ms: performance.now() - began };
  } catch (error) {
    return { path, status: 0, ms: performance.now() - began, found: messageOf(error) };
  }
}
