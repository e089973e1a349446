import { isEverybody, on, statementsOf, unless, type Resource, type Rule } from './rule.ts';

const everywhere = ['0.0.0.0/0', '::/0'];
/** Those of the web, or one that no service of a system has: an environment may have a port of its own. */
const isWebPort = (port: number): boolean => [80, 443].includes(port) || port >= 1024;

/** Rules of the load balancer's own security group; everything else must name who may come. */
const isEntry = ({ name }: Resource): boolean => name.includes('-entry');

const ingress = on(['vpc/securityGroupIngressRule:SecurityGroupIngressRule'], (rule) => {
  const { cidrIpv4, cidrIpv6, fromPort, toPort } = rule.props;
  if (![cidrIpv4, cidrIpv6].some((cidr) => everywhere.includes(String(cidr)))) return [];
  const isWeb = fromPort === toPort && isWebPort(Number(fromPort));
  return unless(isEntry(rule) && isWeb, `the whole internet reaches port ${String(fromPort)}`);
});

/** Rules inside a group are not looked at one by one, so they are not used. */
const inlineRules = on(
  ['ec2/securityGroup:SecurityGroup', 'ec2/defaultSecurityGroup:DefaultSecurityGroup'],
  ({ props }) =>
    unless(
      ((props['ingress'] ?? []) as unknown[]).length === 0,
      'it has rules of its own: use SecurityGroupIngressRule',
    ),
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
  'a function with a URL is open beside the load balancer',
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
    return unless(open.length === 0, 'everybody may use it');
  },
);

const checks = [ingress, inlineRules, database, tasks, balancer, functions, resourcePolicies];

export const notPublic: Rule = {
  name: 'not-public',
  description: 'Nothing is open to the internet but the load balancer, on its two ports.',
  each: (resource, scope) => checks.flatMap((check) => check(resource, scope)),
};

const blocks = ['blockPublicAcls', 'blockPublicPolicy', 'ignorePublicAcls', 'restrictPublicBuckets'];

export const bucketsNotPublic: Rule = {
  name: 'buckets-not-public',
  description: 'Every bucket blocks public access, in all four ways.',
  together: (resources) =>
    resources
      .filter(({ type }) => type === 'aws:s3/bucket:Bucket')
      .flatMap(({ name }) => {
        const block = resources.find(
          (found) => found.type === 'aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock' && found.name === name,
        );
        const open = blocks.filter((way) => block?.props[way] !== true);
        return unless(open.length === 0, `${name} does not ${open.join(', ')}`);
      }),
};
