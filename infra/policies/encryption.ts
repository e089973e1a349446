import { on, statementsOf, unless, type Resource, type Rule } from './rule.ts';

/** Security policies of load balancers that require TLS 1.2 or later. */
const tlsPolicies = /^ELBSecurityPolicy-(TLS13-1-[23]|TLS-1-2|FS-1-2)/;

/** By type, the property with the environment's KMS key. Without it AWS uses a key of its own, or none. */
const keyProperties: Record<string, string> = {
  'rds/instance:Instance': 'kmsKeyId',
  'cloudwatch/logGroup:LogGroup': 'kmsKeyId',
  'secretsmanager/secret:Secret': 'kmsKeyId',
  'sns/topic:Topic': 'kmsMasterKeyId',
  'sqs/queue:Queue': 'kmsMasterKeyId',
  'backup/vault:Vault': 'kmsKeyArn',
};

const isSet = (value: unknown): boolean => typeof value === 'string' && value !== '';

const withKey = on(Object.keys(keyProperties), ({ type, props }) => {
  const property = keyProperties[type.replace(/^aws:/, '')] as string;
  return unless(isSet(props[property]), `${property} is not set: it is not encrypted with the environment's key`);
});

const databaseStorage = on(['rds/instance:Instance'], ({ props }) => [
  ...unless(props['storageEncrypted'] === true, 'its storage is not encrypted'),
  ...unless(
    props['performanceInsightsEnabled'] !== true || isSet(props['performanceInsightsKmsKeyId']),
    "its Performance Insights data is not encrypted with the environment's key",
  ),
]);

const images = on(['ecr/repository:Repository'], ({ props }) => {
  const [encryption] = (props['encryptionConfigurations'] ?? []) as { encryptionType?: string }[];
  return unless(encryption?.encryptionType === 'KMS', 'its images are not encrypted with a KMS key');
});

const rotation = on(['kms/key:Key'], ({ props }) =>
  unless(props['enableKeyRotation'] === true, 'automatic rotation is off'),
);

export const atRest: Rule = {
  name: 'encrypted-at-rest',
  description: 'Stored data is encrypted with a key of the environment, and the key is rotated.',
  each: (resource, scope) => [withKey, databaseStorage, images, rotation].flatMap((check) => check(resource, scope)),
};

/** Resources of this type that belong to the bucket. They have its resource name. */
const ofBucket = (resources: Resource[], type: string, bucket: Resource): Resource[] =>
  resources.filter(({ type: found, name }) => found === `aws:s3/${type}` && name === bucket.name);

const buckets = (resources: Resource[]): Resource[] => resources.filter(({ type }) => type === 'aws:s3/bucket:Bucket');

export const bucketsAtRest: Rule = {
  name: 'buckets-encrypted-and-versioned',
  description: 'Every bucket is encrypted and versioned.',
  together: (resources) =>
    buckets(resources).flatMap((bucket) => {
      const encryption = ofBucket(
        resources,
        'bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration',
        bucket,
      );
      const versions = ofBucket(resources, 'bucketVersioning:BucketVersioning', bucket);
      const kept = versions.some(
        ({ props }) => (props['versioningConfiguration'] as { status?: string } | undefined)?.status === 'Enabled',
      );
      return [
        ...unless(encryption.length > 0, `${bucket.name} is not encrypted`),
        ...unless(kept, `${bucket.name} is not versioned`),
      ];
    }),
};

const listeners = on(['lb/listener:Listener'], ({ props }) => {
  if (props['protocol'] === 'HTTPS')
    return unless(
      tlsPolicies.test(String(props['sslPolicy'])),
      `its policy ${String(props['sslPolicy'])} allows TLS versions before 1.2`,
    );
  const actions = (props['defaultActions'] ?? []) as { type?: string; redirect?: { protocol?: string } }[];
  const redirects = actions.every(({ type, redirect }) => type === 'redirect' && redirect?.protocol === 'HTTPS');
  return unless(redirects, 'it serves HTTP instead of redirecting to HTTPS');
});

const databases = on(['rds/parameterGroup:ParameterGroup'], ({ props }) => {
  const parameters = (props['parameters'] ?? []) as { name: string; value: string }[];
  return unless(
    parameters.some(({ name, value }) => name === 'rds.force_ssl' && value === '1'),
    'rds.force_ssl is not 1: the database accepts connections without TLS',
  );
});

const subscriptions = on(['sns/topicSubscription:TopicSubscription'], ({ props }) =>
  unless(props['protocol'] !== 'http', 'it sends notifications without TLS'),
);

export const inTransit: Rule = {
  name: 'encrypted-in-transit',
  description: 'Clients, databases and notifications use TLS; load balancers require version 1.2 or later.',
  each: (resource, scope) => [listeners, databases, subscriptions].flatMap((check) => check(resource, scope)),
};

export const bucketsInTransit: Rule = {
  name: 'buckets-by-tls-only',
  description: 'Every bucket refuses requests without TLS.',
  together: (resources) =>
    buckets(resources).flatMap((bucket) => {
      const refused = ofBucket(resources, 'bucketPolicy:BucketPolicy', bucket)
        .flatMap(({ props }) => statementsOf(props['policy']))
        .some(({ Effect, Condition }) => Effect === 'Deny' && Condition?.['Bool']?.['aws:SecureTransport'] === 'false');
      return unless(refused, `${bucket.name} accepts requests without TLS`);
    }),
};
