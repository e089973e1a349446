import type { Properties } from './serve.ts';

/**
 * Whether the found value matches the declared one. AWS adds defaults and has its own order of lists; neither is a
 * difference.
 */
export function covers(declared: unknown, found: unknown): boolean {
  if (declared === undefined || declared === null) return true;
  if (Array.isArray(declared)) {
    if (!Array.isArray(found) || found.length !== declared.length) return false;
    const left = [...(found as unknown[])];
    return declared.every((item) => {
      const index = left.findIndex((candidate) => covers(item, candidate));
      if (index >= 0) left.splice(index, 1);
      return index >= 0;
    });
  }
  if (typeof declared === 'object') {
    if (typeof found !== 'object' || found === null) return false;
    return Object.entries(declared).every(([key, value]) => covers(value, (found as Properties)[key]));
  }
  // AWS treats `1` and `'1'` as equal.
  return `${declared as string}` === `${found as string}`;
}

/** Compares tags in both directions: an undeclared tag is drift, as in the real plug-in. */
export const sameTags = (declared: unknown, found: unknown): boolean =>
  covers(declared ?? {}, found ?? {}) && covers(found ?? {}, declared ?? {});

/**
 * Properties that AWS sets and no program declares. A record without them belongs to a resource whose creation was
 * interrupted.
 */
const computed = [
  'arn',
  'address',
  'endpoint',
  'resourceId',
  'engineVersionActual',
  'masterUserSecrets',
  'repositoryUrl',
  'registryId',
  'uniqueId',
  'fqdn',
  'dashboardArn',
  'bucketDomainName',
  'bucketRegionalDomainName',
];

/** The record, with properties replaced that were found to differ. */
export function withFound(state: Properties, found: Properties): Properties {
  const merged = { ...state };
  for (const [key, value] of Object.entries(found)) {
    const same = key === 'tags' ? sameTags(state[key], value) : covers(state[key], value);
    if (!same || (state[key] === undefined && computed.includes(key))) merged[key] = value;
  }
  return JSON.parse(JSON.stringify(merged)) as Properties;
}
