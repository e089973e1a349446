import type { Resource } from './rule.ts';

/** Properties in which the environments may differ: sizes, availability, protection and names. */
const mayDiffer = new Set([
  'tags',
  'recoveryPointTags',
  'description',
  'name',
  'identifier',
  'family',
  'dashboardName',
  'finalSnapshotIdentifier',
  'desiredCount',
  'minCapacity',
  'maxCapacity',
  'scalableTargetAction',
  'schedule',
  'cpu',
  'memory',
  'instanceClass',
  'allocatedStorage',
  'maxAllocatedStorage',
  'backupRetentionPeriod',
  'retentionInDays',
  'limitAmount',
  'multiAz',
  'natGateways',
  'deletionProtection',
  'enableDeletionProtection',
  'skipFinalSnapshot',
  'deleteAutomatedBackups',
  'forceDelete',
  'availabilityZoneNames',
  'cidrBlock',
  'allowedAccountIds',
  'region',
]);

/** Whether a property may differ. The alarm threshold on healthy tasks follows from their number. */
const isSize = (resource: Resource, property: string): boolean =>
  mayDiffer.has(property) || (property === 'threshold' && resource.props['metricName'] === 'HealthyHostCount');

/** JSON of a value in which the environment's own names are replaced by `*`, for example `production` in an ARN. */
const neutral = (value: unknown, words: string[]): string =>
  words.reduce((text, word) => text.replaceAll(word, '*'), JSON.stringify(value ?? null));

export interface ParityInput {
  resources: Resource[];
  /** Values that identify this environment: name, account, domain, hosted zone. */
  words: string[];
}

/**
 * Differences that make staging a poor rehearsal for production, a sentence each: resources that only one of them has,
 * and properties that must not differ. Pure.
 */
export function parity(staging: ParityInput, production: ParityInput): string[] {
  const [staged, live] = [byName(staging), byName(production)];
  const missing = [...live.keys()].filter((key) => !staged.has(key)).map((key) => `staging has no ${key}`);
  const extra = [...staged.keys()].filter((key) => !live.has(key)).map((key) => `only staging has ${key}`);
  const different = [...staged].flatMap(([key, resource]) => {
    const twin = live.get(key);
    if (twin === undefined) return [];
    const properties = new Set([...Object.keys(resource.props), ...Object.keys(twin.props)]);
    return [...properties]
      .filter((property) => !isSize(resource, property))
      .filter((property) => {
        const [a, b] = [
          neutral(resource.props[property], staging.words),
          neutral(twin.props[property], production.words),
        ];
        return a !== b;
      })
      .map((property) => `${property} of ${key} differs`);
  });
  return [...missing, ...extra, ...different];
}

const byName = ({ resources, words }: ParityInput): Map<string, Resource> =>
  new Map(resources.map((resource) => [`${resource.type} ${neutral(resource.name, words)}`, resource]));
