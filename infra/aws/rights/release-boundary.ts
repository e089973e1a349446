/**
 * What the rights to release depend on. These rights (of a person, the pipeline or a workflow) are IAM policies that an
 * administrator creates by hand before the first release. No stack creates them, so nobody who can change a stack can
 * widen them. docs/aws.md shows them.
 */
export interface RightsOf {
  accountId: string;
  region: string;
  backupRegion: string;
  hostedZoneId: string;
  /** The bucket and key of the engine's state. */
  stateBucket: string;
  stateKeyArn: string;
}

export interface Statement {
  Sid: string;
  Effect: 'Allow';
  Action: string[];
  Resource: string | string[];
  Condition?: Record<string, Record<string, string | string[]>>;
}

/**
 * Pure. The permissions boundary: all rights that starting tasks, the write hold's function and flow logs need
 * together. Each role has its own part of them.
 */
export function boundary({ accountId, region }: RightsOf): Statement[] {
  const of = (service: string, resource: string) => `arn:aws:${service}:${region}:${accountId}:${resource}`;
  return [
    {
      Sid: 'Logs',
      Effect: 'Allow',
      Action: [
        'logs:CreateLogGroup',
        'logs:CreateLogStream',
        'logs:DescribeLogGroups',
        'logs:DescribeLogStreams',
        'logs:PutLogEvents',
      ],
      Resource: of('logs', '*'),
    },
    {
      Sid: 'Images',
      Effect: 'Allow',
      Action: ['ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'],
      Resource: of('ecr', 'repository/*'),
    },
    {
      Sid: 'Secrets',
      Effect: 'Allow',
      Action: ['kms:Decrypt', 'secretsmanager:GetSecretValue'],
      Resource: [of('kms', 'key/*'), of('secretsmanager', 'secret:*')],
    },
    {
      Sid: 'Fence',
      Effect: 'Allow',
      Action: ['elasticloadbalancing:SetRulePriorities'],
      Resource: of('elasticloadbalancing', 'listener-rule/app/*'),
    },
    {
      Sid: 'Look',
      Effect: 'Allow',
      Action: ['ecr:GetAuthorizationToken', 'elasticloadbalancing:DescribeRules', 'elasticloadbalancing:DescribeTags'],
      Resource: '*',
    },
  ];
}
