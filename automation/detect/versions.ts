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

/**
 * The newest tag of an older version: what production is given first, so that there is something to go live over. Only where the version
 * itself has a tag, too: all versions are taken from refs of one form, and else one of them would have none.
 */
export function olderTag(folder: Folder, version: string): { tag: string; version: string; ref: string } | undefined {
  const own = folder.tags.find((tag) => asVersion(tag) === version && tag.endsWith(version));
  if (own === undefined) return undefined;
  const prefix = own.slice(0, -version.length);
  const numbers = (text: string): number[] => text.split('.').map(Number);
  const isOlder = (one: string): boolean => {
    const [a, b] = [numbers(one), numbers(version.split('-')[0] ?? '')];
    const at = a.findIndex((part, index) => part !== b[index]);
    return at !== -1 && (a[at] ?? 0) < (b[at] ?? 0);
  };
  for (const tag of folder.tags) {
    const of = tag.startsWith(prefix) ? tag.slice(prefix.length) : '';
    if (/^\d+\.\d+\.\d+$/.test(of) && isOlder(of)) return { tag, version: of, ref: `${prefix}\${version}` };
  }
  return undefined;
}
