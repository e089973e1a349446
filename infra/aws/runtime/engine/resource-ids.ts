/** A resource as the engine recorded it before its creation. `inputs` hold the names that Pulumi generated. */
interface Unfinished {
  type: string;
  inputs?: Record<string, unknown>;
}

interface Where {
  region: string;
  accountId: string;
}

type IdOf = (text: (key: string) => string, where: Where) => string;

const named =
  (key: string): IdOf =>
  (text) =>
    text(key);

/**
 * Ids that follow from the inputs, by type, from the "Import" sections of the provider's documentation. All other types
 * (listeners, rules, target groups, keys, secrets, security groups, …) get an id from AWS that is not known in advance.
 */
const ids: Record<string, IdOf> = {
  'aws:backup/vault:Vault': named('name'),
  'aws:budgets/budget:Budget': (text, { accountId }) => `${accountId}:${text('name')}`,
  'aws:cloudwatch/dashboard:Dashboard': named('dashboardName'),
  'aws:cloudwatch/logGroup:LogGroup': named('name'),
  'aws:cloudwatch/metricAlarm:MetricAlarm': named('name'),
  'aws:ecr/lifecyclePolicy:LifecyclePolicy': named('repository'),
  'aws:ecr/repository:Repository': named('name'),
  'aws:ecs/cluster:Cluster': (text, where) => ecsArn(where, `cluster/${text('name')}`),
  'aws:ecs/service:Service': (text, where) =>
    ecsArn(where, `service/${text('cluster').split('/').at(-1)}/${text('name')}`),
  'aws:iam/role:Role': named('name'),
  'aws:iam/rolePolicy:RolePolicy': (text) => `${text('role')}:${text('name')}`,
  'aws:kms/alias:Alias': named('name'),
  'aws:lambda/function:Function': named('name'),
  'aws:rds/instance:Instance': named('identifier'),
  'aws:rds/parameterGroup:ParameterGroup': named('name'),
  'aws:rds/subnetGroup:SubnetGroup': named('name'),
  'aws:route53/record:Record': (text) => `${text('zoneId')}_${text('name')}_${text('type')}`,
  'aws:s3/bucket:Bucket': named('bucket'),
  'aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration': named('bucket'),
  'aws:s3/bucketOwnershipControls:BucketOwnershipControls': named('bucket'),
  'aws:s3/bucketPolicy:BucketPolicy': named('bucket'),
  'aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock': named('bucket'),
  'aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration': named('bucket'),
  'aws:s3/bucketVersioning:BucketVersioning': named('bucket'),
  'aws:sns/topic:Topic': (text, { region, accountId }) => `arn:aws:sns:${region}:${accountId}:${text('name')}`,
  'aws:sns/topicPolicy:TopicPolicy': named('arn'),
  'aws:sqs/queuePolicy:QueuePolicy': named('queueUrl'),
};

const ecsArn = ({ region, accountId }: Where, resource: string): string =>
  `arn:aws:ecs:${region}:${accountId}:${resource}`;

/**
 * The id of a resource whose creation was interrupted. Undefined if only AWS knows it, or if an input was not known
 * yet.
 */
export function knownId({ type, inputs = {} }: Unfinished, where: Where): string | undefined {
  const unknown: string[] = [];
  const text = (key: string): string => {
    const value = inputs[key];
    if (typeof value === 'string' && value !== '') return value;
    unknown.push(key);
    return '';
  };
  const id = ids[type]?.(text, where);
  return unknown.length > 0 ? undefined : id;
}
