import type { Rule } from './rule.ts';

/** Types that cannot be tagged, mostly parts of other resources. */
const untagged = new Set([
  'acm/certificateValidation:CertificateValidation',
  'appautoscaling/policy:Policy',
  'appautoscaling/scheduledAction:ScheduledAction',
  'backup/selection:Selection',
  'cloudwatch/dashboard:Dashboard',
  'ecr/lifecyclePolicy:LifecyclePolicy',
  'iam/rolePolicy:RolePolicy',
  'iam/rolePolicyAttachment:RolePolicyAttachment',
  'kms/alias:Alias',
  'lambda/permission:Permission',
  'lb/targetGroupAttachment:TargetGroupAttachment',
  'route53/record:Record',
  's3/bucketLifecycleConfiguration:BucketLifecycleConfiguration',
  's3/bucketOwnershipControls:BucketOwnershipControls',
  's3/bucketPolicy:BucketPolicy',
  's3/bucketPublicAccessBlock:BucketPublicAccessBlock',
  's3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration',
  's3/bucketVersioning:BucketVersioning',
  'scheduler/schedule:Schedule',
  'secretsmanager/secretVersion:SecretVersion',
  'sns/topicPolicy:TopicPolicy',
  'sns/topicSubscription:TopicSubscription',
  'sqs/queuePolicy:QueuePolicy',
  'wafv2/webAclAssociation:WebAclAssociation',
  'wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration',
  // Created by awsx as parts of a tagged network.
  'ec2/route:Route',
  'ec2/routeTableAssociation:RouteTableAssociation',
]);

export const tagged: Rule = {
  name: 'tagged',
  description: 'Resources are tagged with owner and environment, and those of a colour also with colour and release.',
  each: (resource, { environment, colour }) => {
    const { type } = resource;
    if (!type.startsWith('aws:') || untagged.has(type.slice('aws:'.length))) return [];
    const tags = (resource.props['tags'] ?? {}) as Record<string, string>;
    const wanted = ['owner', 'environment', ...(colour === undefined ? [] : ['colour', 'release'])];
    const missing = wanted.filter((tag) => (tags[tag] ?? '') === '');
    const wrong = Object.entries({ environment, colour }).filter(
      ([tag, value]) => value !== undefined && tags[tag] !== undefined && tags[tag] !== value,
    );
    return [
      ...missing.map((tag) => `it has no tag ${tag}`),
      ...wrong.map(([tag, value]) => `its tag ${tag} is ${tags[tag]} instead of ${value}`),
    ];
  },
};
