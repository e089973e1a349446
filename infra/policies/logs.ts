import { on, unless, type Rule } from './rule.ts';

const leastDays = 30;

const kept = on(['cloudwatch/logGroup:LogGroup'], ({ props }) => {
  const days = Number(props['retentionInDays'] ?? 0);
  return unless(
    days >= leastDays,
    days === 0 ? 'it keeps logs for ever' : `it keeps logs for ${days} days, not ${leastDays}`,
  );
});

const balancer = on(['lb/loadBalancer:LoadBalancer'], ({ props }) =>
  unless((props['accessLogs'] as { enabled?: boolean } | undefined)?.enabled === true, 'it writes no access log'),
);

const database = on(['rds/instance:Instance'], ({ props }) =>
  unless(
    ((props['enabledCloudwatchLogsExports'] ?? []) as string[]).includes('postgresql'),
    'its log stays on the instance',
  ),
);

export const logged: Rule = {
  name: 'logs-with-retention',
  description: 'Load balancer and databases are logged, and every log is kept for a known time.',
  each: (resource, scope) => [kept, balancer, database].flatMap((check) => check(resource, scope)),
};
