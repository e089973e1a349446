import { isEverybody, on, statementsOf, unless, type Resource, type Rule } from './rule.ts';

const wholeInternet = ['0.0.0.0/0', '::/0'];
/** 80, 443, or a port above the well-known ones, because an environment may define its own HTTPS port. */
const isWebPort = (port: number): boolean => [80, 443].includes(port) || port >= 1024;

/** The load balancer and the rules of its security group, by name. All other rules must name their sources. */
const isEntry = ({ name }: Resource): boolean => name.includes('-entry');

const ingress = on(['vpc/securityGroupIngressRule:SecurityGroupIngressRule'], (rule) => {
  const { cidrIpv4, cidrIpv6, fromPort, toPort } = rule.props;
  if (![cidrIpv4, cidrIpv6].some((cidr) => wholeInternet.includes(String(cidr)))) return [];
  const isWeb = fromPort === toPort && isWebPort(Number(fromPort));
  return unless(isEntry(rule) && isWeb, `port ${String(fromPort)} is open to the whole internet`);
});

/** `ingress` checks separate rules only, so inline rules are forbidden. */
const inlineRules = on(
  ['ec2/securityGroup:SecurityGroup', 'ec2/defaultSecurityGroup:DefaultSecurityGroup'],
  ({ props }) =>
    unless(((props['ingress'] ?? []) as unknown[]).length === 0, 'it has inline rules: use SecurityGroupIngressRule'),
);

const database = on(['rds/instance:Instance'], ({ props }) =>
  unless(props['publiclyAccessible'] === false, 'it has a public address'),
);

const tasks = on(['ecs/service:Service'], ({ props }) => {
  const network = props['networkConfiguration'] as { assignPublicIp?: boolean } | undefined;
  return unless(network?.assignPublicIp !== true, 'its tasks have public addresses');
});

const balancer = on(['lb/loadBalancer:LoadBalancer'], (resource) =>
  unless(resource.props['internal'] === true || isEntry(resource), 'it is a second public load balancer'),
);

const functions = on(['lambda/functionUrl:FunctionUrl'], () => [
  'a function URL is reachable without the load balancer',
]);

const resourcePolicies = on(
  [
    's3/bucketPolicy:BucketPolicy',
    'sns/topicPolicy:TopicPolicy',
    'sqs/queuePolicy:QueuePolicy',
    'kms/key:Key',
    'ecr/repositoryPolicy:RepositoryPolicy',
    'secretsmanager/secretPolicy:SecretPolicy',
  ],
  ({ props }) => {
    const open = statementsOf(props['policy']).filter(
      (statement) => statement.Effect === 'Allow' && isEverybody(statement) && statement.Condition === undefined,
    );
    return unless(open.length === 0, 'its policy allows everybody without a condition');
  },
);

const checks = [ingress, inlineRules, database, tasks, balancer, functions, resourcePolicies];

export const notPublic: Rule = {
  name: 'not-public',
  description: 'Only the load balancer is open to the internet, on its web ports.',
  each: (resource, scope) => checks.flatMap((check) => check(resource, scope)),
};

const blocks = ['blockPublicAcls', 'blockPublicPolicy', 'ignorePublicAcls', 'restrictPublicBuckets'];

export const bucketsNotPublic: Rule = {
  name: 'buckets-not-public',
  description: 'Every bucket has all four settings that block public access.',
  together: (resources) =>
    resources
      .filter(({ type }) => type === 'aws:s3/bucket:Bucket')
      .flatMap(({ name }) => {
        const block = resources.find(
          (found) => found.type === 'aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock' && found.name === name,
        );
        const unset = blocks.filter((setting) => block?.props[setting] !== true);
        return unless(unset.length === 0, `${name} does not set ${unset.join(', ')}`);
      }),
};
