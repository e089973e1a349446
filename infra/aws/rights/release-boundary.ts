/**
 * Who may release: the rights of the person, of the pipeline and of workflows, as IAM policies that an administrator makes by hand
 * before the first release. No stack makes them, so nobody who can change a stack can widen them. docs/aws.md shows them.
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

/** Pure. The most that tasks as they start, the fence and flow logs may ever do; each role has its own part of it. */
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
