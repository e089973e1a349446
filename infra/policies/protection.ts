import { on, unless, type Rule } from './rule.ts';

/** Minimum days of point-in-time recovery of a production database. */
const leastBackupDays = 7;

const database = on(['rds/instance:Instance'], ({ props }) => [
  ...unless(
    Number(props['backupRetentionPeriod'] ?? 0) >= leastBackupDays,
    `it keeps backups for less than ${leastBackupDays} days`,
  ),
  ...unless(props['deletionProtection'] === true, 'it can be deleted'),
  ...unless(props['skipFinalSnapshot'] !== true, 'it is deleted without a final snapshot'),
  ...unless(props['deleteAutomatedBackups'] === false, 'its backups are deleted with it'),
  ...unless(props['multiAz'] === true, 'it has no standby in another availability zone'),
]);

const balancer = on(['lb/loadBalancer:LoadBalancer'], ({ props }) =>
  unless(props['enableDeletionProtection'] === true, 'it can be deleted'),
);

const images = on(['ecr/repository:Repository'], ({ props }) =>
  unless(props['forceDelete'] !== true, 'it is deleted with the images in it'),
);

export const protectedInProduction: Rule = {
  name: 'protected-in-production',
  description: 'Production has backups, standbys and deletion protection.',
  each: (resource, scope) =>
    scope.environment === 'production' ? [database, balancer, images].flatMap((check) => check(resource, scope)) : [],
};

export const secondRegion: Rule = {
  name: 'backups-in-a-second-region',
  description:
    'The foundation has a backup plan that copies to another region, and databases have the tag that selects them for it.',
  together: (resources, { environment, colour }) => {
    if (colour !== undefined) {
      const databases = resources.filter(({ type }) => type === 'aws:rds/instance:Instance');
      const untagged = databases.filter(
        ({ props }) => (props['tags'] as Record<string, string> | undefined)?.['backup'] !== environment,
      );
      return untagged.map(({ name }) => `${name} has no tag backup=${environment}: no backup plan covers it`);
    }
    // The traffic stack has nothing to back up.
    if (!resources.some(({ type }) => type === 'aws:lb/loadBalancer:LoadBalancer')) return [];
    const rules = resources
      .filter(({ type }) => type === 'aws:backup/plan:Plan')
      .flatMap(({ props }) => (props['rules'] ?? []) as { copyActions?: unknown[] }[]);
    return [
      ...unless(
        rules.some(({ copyActions }) => (copyActions ?? []).length > 0),
        'no backup plan copies to another region',
      ),
      ...unless(vaultRegions(resources).size > 1, 'all backup vaults are in one region'),
    ];
  },
};

const vaultRegions = (resources: Parameters<Extract<Rule, { together: unknown }>['together']>[0]): Set<unknown> =>
  new Set(resources.filter(({ type }) => type === 'aws:backup/vault:Vault').map(({ props }) => props['region']));

export const survivesAZone: Rule = {
  name: 'survives-a-zone',
  description: 'Every service has at least two tasks and rolls a failed deployment back automatically.',
  each: on(['ecs/service:Service'], ({ props }) => {
    const breaker = props['deploymentCircuitBreaker'] as { enable?: boolean; rollback?: boolean } | undefined;
    return [
      ...unless(Number(props['desiredCount'] ?? 0) >= 2, 'it has fewer than two tasks'),
      ...unless(breaker?.enable === true && breaker.rollback === true, 'it does not roll back a failed deployment'),
    ];
  }),
};
