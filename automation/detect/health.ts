import { fact, type Fact, type Facts } from './facts.ts';
import type { Folder } from './folder.ts';
import { source } from './text.ts';

/** Last parts of paths that are about health, the most telling first. */
const names = [
  'healthz',
  'health',
  'health-check',
  'healthcheck',
  '_health',
  'readyz',
  'ready',
  'livez',
  'up',
  'ping',
  'status',
];
const route = new RegExp(`["'\`](/?(?:[\\w-]+/){0,3}(?:${names.join('|')})/?)["'\`]`, 'g');
const isRoute = /(get|all|use|route|path|url|map|handle|handlefunc|mapping|router|head)\w*\s*\(?\s*[^\n]{0,20}$/i;

/** Paths that a running application is asked for where its source names none. */
export const usualPaths = ['/healthz', '/health', '/api/health', '/up', '/actuator/health', '/ping', '/'];

/** Routes of the source that are about health. */
export function health(folder: Folder): Facts {
  const found: Fact<string>[] = [];
  for (const file of folder.files) {
    const nextRoute = /^(?:src\/)?(?:app\/(.*)\/route|pages\/(api\/.*?)(?:\/index)?)\.[jt]sx?$/.exec(file);
    const nuxtRoute = /^server\/(?:routes\/(.*?)|(api\/.*?))(?:\.get)?\.[jt]s$/.exec(file);
    const path = nextRoute?.[1] ?? nextRoute?.[2] ?? nuxtRoute?.[1] ?? nuxtRoute?.[2];
    if (path !== undefined && names.includes(path.split('/').at(-1) ?? '')) found.push(fact(`/${path}`, file));
    if (!source.test(file)) continue;
    const text = folder.read(file) ?? '';
    for (const match of text.matchAll(route)) {
      const before = text.slice(Math.max(0, match.index - 40), match.index);
      if (!isRoute.test(before)) continue;
      // Django and Rails write paths without the first slash.
      found.push(fact(`/${(match[1] ?? '').replace(/^\//, '')}`, file));
    }
  }
  const rank = ({ value }: Fact<string>): number => names.indexOf(value.replace(/\/$/, '').split('/').at(-1) ?? '');
  return { health: found.sort((a, b) => rank(a) - rank(b) || a.value.length - b.value.length).slice(0, 4) };
}
