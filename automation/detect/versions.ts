import { fact, type Facts } from './facts.ts';
import type { Folder } from './folder.ts';
import { asName, asVersion } from './text.ts';

/** The version by the newest tag, where no manifest has one; the name by the folder. */
export function versions(folder: Folder): Facts {
  const name = asName(folder.name);
  const newest = folder.tags.find((tag) => asVersion(tag) !== undefined);
  return {
    ...(name === '' ? {} : { name: fact(name, 'the name of the folder') }),
    version:
      newest === undefined
        ? fact('0.1.0', 'no version was found, and no tag')
        : fact(asVersion(newest) ?? '', `git tag ${newest}`),
  };
}

/** The newest tag of an older version: what production is given first, so that there is something to go live over. */
export function olderTag(folder: Folder, version: string): { tag: string; version: string } | undefined {
  const numbers = (text: string): number[] => (text.split('-')[0] ?? '').split('.').map(Number);
  const isOlder = (one: string): boolean => {
    const [a, b] = [numbers(one), numbers(version)];
    const at = a.findIndex((part, index) => part !== b[index]);
    return at !== -1 && (a[at] ?? 0) < (b[at] ?? 0);
  };
  for (const tag of folder.tags) {
    const of = asVersion(tag);
    if (of !== undefined && !of.includes('-') && isOlder(of)) return { tag, version: of };
  }
  return undefined;
}
