import type { Resource } from './rule.ts';

/** Properties in which the environments may differ: sizes, spreading and protection, and names of themselves. */
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

/** How many tasks a service has is its size: the alarm on them follows. */
const isSize = (resource: Resource, property: string): boolean =>
  mayDiffer.has(property) || (property === 'threshold' && resource.props['metricName'] === 'HealthyHostCount');

/** The values of `other`'s environment where they stand in text, such as ARNs: `production` becomes `*`. */
const neutral = (value: unknown, words: string[]): string =>
  words.reduce((text, word) => text.replaceAll(word, '*'), JSON.stringify(value ?? null));

export interface ParityInput {
  resources: Resource[];
  /** What names this environment: its name, account, domain, hosted zone. */
  words: string[];
}

/**
 * What staging would not show of production: resources that only one of them has, and settings that differ beyond size and
 * protection. Each as one sentence; pure.
 */
export function parity(staging: ParityInput, production: ParityInput): string[] {
  const [here, there] = [byName(staging), byName(production)];
  const missing = [...there.keys()].filter((key) => !here.has(key)).map((key) => `staging has no ${key}`);
  const extra = [...here.keys()].filter((key) => !there.has(key)).map((key) => `only staging has ${key}`);
  const different = [...here].flatMap(([key, resource]) => {
    const twin = there.get(key);
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
