import type { Properties } from './serve.ts';

/**
 * Whether what is there is what was declared. AWS says more than was declared (defaults), and lists in an order of its own;
 * neither is a difference.
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
  // `1` and `'1'` are the same to AWS.
  return `${declared as string}` === `${found as string}`;
}

/** Tags are compared as a whole: one that nobody declared is drift, as to the real plug-in. */
export const sameTags = (declared: unknown, found: unknown): boolean =>
  covers(declared ?? {}, found ?? {}) && covers(found ?? {}, declared ?? {});

/** What AWS gives a resource and no program declares: a record that lacks it is of one whose making was cut off. */
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

/** The record with what was found different in its place. */
export function withFound(state: Properties, found: Properties): Properties {
  const merged = { ...state };
  for (const [key, value] of Object.entries(found)) {
    const same = key === 'tags' ? sameTags(state[key], value) : covers(state[key], value);
    if (!same || (state[key] === undefined && computed.includes(key))) merged[key] = value;
  }
  return JSON.parse(JSON.stringify(merged)) as Properties;
}
