import { on, unless, type Rule } from './rule.ts';

const leastDays = 30;

const kept = on(['cloudwatch/logGroup:LogGroup'], ({ props }) => {
  const days = Number(props['retentionInDays'] ?? 0);
  return unless(
    days >= leastDays,
    days === 0 ? 'it has no retention time' : `it keeps logs for ${days} days instead of at least ${leastDays}`,
  );
});

const balancer = on(['lb/loadBalancer:LoadBalancer'], ({ props }) =>
  unless((props['accessLogs'] as { enabled?: boolean } | undefined)?.enabled === true, 'it writes no access log'),
);

const database = on(['rds/instance:Instance'], ({ props }) =>
  unless(
    ((props['enabledCloudwatchLogsExports'] ?? []) as string[]).includes('postgresql'),
    'its log is not exported to CloudWatch',
  ),
);

export const logged: Rule = {
  name: 'logs-with-retention',
  description: 'Load balancer and databases are logged, and every log group has a retention time of at least 30 days.',
  each: (resource, scope) => [kept, balancer, database].flatMap((check) => check(resource, scope)),
};
