import { backupPolicy, boundaryName } from '../lib/names.ts';
import { boundary } from './release-boundary.ts';
import type { Statement, RightsOf } from './release-boundary.ts';
/** Services to which the programs pass a role: tasks, the write hold's function, flow logs, backups. */
const takingRoles = ['ecs-tasks', 'lambda', 'vpc-flow-logs', 'backup'].map((name) => `${name}.amazonaws.com`);
export interface PolicyDocument {
  Version: '2012-10-17';
  Statement: Statement[];
}

/** Names of the policies. */
export type RightsName =
  'greenlight-read' | 'greenlight-declare' | 'greenlight-release' | typeof boundaryName | 'greenlight-pipeline';

const policy = (...Statement: Statement[]): PolicyDocument => ({ Version: '2012-10-17', Statement });
const environments = ['staging', 'production'];
const roles = (accountId: string) =>
  environments.map((environment) => `arn:aws:iam::${accountId}:role/${environment}-*`);

/**
 * Pure. The first three are for whoever releases. The fourth is the boundary of the roles that these create: without
 * it, the right to create roles would amount to any right. `greenlight-pipeline` is for the administrator who brings up
 * the stack `pipeline`, whose roles carry the first three.
 */
export const releaseRights = (of: RightsOf): Record<RightsName, PolicyDocument> => ({
  'greenlight-read': policy(read),
  'greenlight-declare': policy(...declare(of)),
  'greenlight-release': policy(...release(of)),
  [boundaryName]: policy(...boundary(of)),
  'greenlight-pipeline': policy(...pipeline(of)),
});

const read: Statement = {
  Sid: 'Read',
  Effect: 'Allow',
  Action: [
    'acm:Describe*',
    'acm:List*',
    'application-autoscaling:Describe*',
    'application-autoscaling:ListTagsForResource',
    'backup:Describe*',
    'backup:Get*',
    'backup:List*',
    'budgets:ListTagsForResource',
    'budgets:View*',
    'cloudwatch:Describe*',
    'cloudwatch:Get*',
    'cloudwatch:ListTagsForResource',
    'ec2:Describe*',
    'ecr:Describe*',
    'ecr:Get*',
    'ecr:List*',
    'ecs:Describe*',
    'ecs:List*',
    'elasticloadbalancing:Describe*',
    'iam:GetRole',
    'iam:GetRolePolicy',
    'iam:ListAttachedRolePolicies',
    'iam:ListRolePolicies',
    'kms:Describe*',
    'kms:GetKeyPolicy',
    'kms:GetKeyRotationStatus',
    'kms:List*',
    'lambda:Get*',
    'lambda:List*',
    'logs:Describe*',
    'logs:ListTagsForResource',
    'rds:Describe*',
    'rds:ListTagsForResource',
    'route53:Get*',
    'route53:List*',
    'secretsmanager:DescribeSecret',
    'secretsmanager:GetResourcePolicy',
    'secretsmanager:ListSecrets',
    'servicequotas:Get*',
    'sns:Get*',
    'sns:List*',
    'sqs:Get*',
    'sqs:List*',
    'sts:GetCallerIdentity',
    'wafv2:Get*',
    'wafv2:List*',
  ],
  Resource: '*',
};

function declare({ accountId, region, backupRegion, hostedZoneId }: RightsOf): Statement[] {
  return [
    {
      Sid: 'Declare',
      Effect: 'Allow',
      Action: [
        'acm:*',
        'application-autoscaling:*',
        'backup:*',
        'backup-storage:*',
        'budgets:*',
        'cloudwatch:*',
        'ec2:*Address*',
        'ec2:*FlowLogs*',
        'ec2:*InternetGateway*',
        'ec2:*NatGateway*',
        'ec2:*Route*',
        'ec2:*SecurityGroup*',
        'ec2:*Subnet*',
        'ec2:*Vpc*',
        'ec2:CreateTags',
        'ec2:DeleteTags',
        'ecr:*',
        'ecs:*',
        'elasticloadbalancing:*',
        'kms:CreateAlias',
        'kms:CreateGrant',
        'kms:CreateKey',
        'kms:Decrypt',
        'kms:DeleteAlias',
        'kms:EnableKeyRotation',
        'kms:GenerateDataKey',
        'kms:PutKeyPolicy',
        'kms:RetireGrant',
        'kms:ScheduleKeyDeletion',
        'kms:TagResource',
        'kms:UntagResource',
        'lambda:*',
        'logs:*',
        'rds:*',
        'secretsmanager:*',
        'sns:*',
        'sqs:*',
        'wafv2:*',
      ],
      Resource: '*',
      // Budgets are in us-east-1.
      Condition: { StringEquals: { 'aws:RequestedRegion': [...new Set([region, backupRegion, 'us-east-1'])] } },
    },
    {
      Sid: 'Names',
      Effect: 'Allow',
      Action: ['route53:ChangeResourceRecordSets'],
      Resource: `arn:aws:route53:::hostedzone/${hostedZoneId}`,
    },
    {
      Sid: 'Buckets',
      Effect: 'Allow',
      Action: ['s3:*'],
      Resource: environments.map((environment) => `arn:aws:s3:::${environment}-*`),
    },
    {
      Sid: 'Roles',
      Effect: 'Allow',
      Action: [
        'iam:DeleteRole',
        'iam:DeleteRolePolicy',
        'iam:DetachRolePolicy',
        'iam:ListInstanceProfilesForRole',
        'iam:TagRole',
        'iam:UntagRole',
        'iam:UpdateAssumeRolePolicy',
      ],
      Resource: roles(accountId),
    },
    {
      Sid: 'BoundedRoles',
      Effect: 'Allow',
      Action: ['iam:CreateRole', 'iam:PutRolePolicy'],
      Resource: roles(accountId),
      Condition: {
        StringEquals: { 'iam:PermissionsBoundary': [`arn:aws:iam::${accountId}:policy/${boundaryName}`, backupPolicy] },
      },
    },
    {
      Sid: 'BackupRole',
      Effect: 'Allow',
      Action: ['iam:AttachRolePolicy'],
      Resource: roles(accountId),
      Condition: { StringEquals: { 'iam:PermissionsBoundary': backupPolicy, 'iam:PolicyARN': backupPolicy } },
    },
    {
      Sid: 'GiveRoles',
      Effect: 'Allow',
      Action: ['iam:PassRole'],
      Resource: roles(accountId),
      Condition: { StringEquals: { 'iam:PassedToService': takingRoles } },
    },
    {
      Sid: 'ServiceRoles',
      Effect: 'Allow',
      Action: ['iam:CreateServiceLinkedRole'],
      Resource: `arn:aws:iam::${accountId}:role/aws-service-role/*`,
    },
  ];
}

/**
 * What a release calls in addition to what it declares. Every action is listed, to limit what stolen credentials can
 * do.
 */
function release({ accountId, region, stateBucket, stateKeyArn }: RightsOf): Statement[] {
  const of = (service: string, resource: string) => `arn:aws:${service}:${region}:${accountId}:${resource}`;
  return [
    {
      Sid: 'State',
      Effect: 'Allow',
      Action: ['s3:DeleteObject', 's3:GetObject', 's3:GetObjectVersion', 's3:PutObject'],
      Resource: `arn:aws:s3:::${stateBucket}/*`,
    },
    {
      Sid: 'StateBucket',
      Effect: 'Allow',
      Action: ['s3:GetBucketLocation', 's3:GetBucketPublicAccessBlock', 's3:GetBucketVersioning', 's3:ListBucket'],
      Resource: `arn:aws:s3:::${stateBucket}`,
    },
    {
      Sid: 'StateKey',
      Effect: 'Allow',
      Action: ['kms:Decrypt', 'kms:DescribeKey', 'kms:Encrypt', 'kms:GenerateDataKey'],
      Resource: stateKeyArn,
    },
    {
      Sid: 'Traffic',
      Effect: 'Allow',
      // Previews create rules and target groups.
      Action: [
        'elasticloadbalancing:AddTags',
        'elasticloadbalancing:CreateRule',
        'elasticloadbalancing:CreateTargetGroup',
        'elasticloadbalancing:DeleteRule',
        'elasticloadbalancing:DeleteTargetGroup',
        'elasticloadbalancing:DeregisterTargets',
        'elasticloadbalancing:ModifyRule',
        'elasticloadbalancing:RegisterTargets',
        'elasticloadbalancing:RemoveTags',
        'elasticloadbalancing:SetRulePriorities',
      ],
      Resource: ['listener/app/*', 'listener-rule/app/*', 'targetgroup/*'].map((kind) =>
        of('elasticloadbalancing', kind),
      ),
    },
    {
      Sid: 'Tasks',
      Effect: 'Allow',
      Action: [
        'ecs:DeleteTaskDefinitions',
        'ecs:DeregisterTaskDefinition',
        'ecs:RegisterTaskDefinition',
        'ecs:RunTask',
        'ecs:StopTask',
        'ecs:TagResource',
      ],
      Resource: '*',
      Condition: { StringEquals: { 'aws:RequestedRegion': region } },
    },
    {
      Sid: 'TaskRoles',
      Effect: 'Allow',
      Action: ['iam:PassRole'],
      Resource: roles(accountId),
      Condition: { StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } },
    },
    { Sid: 'Login', Effect: 'Allow', Action: ['ecr:GetAuthorizationToken'], Resource: '*' },
    {
      Sid: 'Push',
      Effect: 'Allow',
      Action: [
        'ecr:BatchCheckLayerAvailability',
        'ecr:BatchGetImage',
        'ecr:CompleteLayerUpload',
        'ecr:DescribeImages',
        'ecr:GetDownloadUrlForLayer',
        'ecr:InitiateLayerUpload',
        'ecr:PutImage',
        'ecr:UploadLayerPart',
      ],
      Resource: environments.map((environment) => of('ecr', `repository/*/${environment}`)),
    },
    {
      Sid: 'Secrets',
      Effect: 'Allow',
      Action: [
        'secretsmanager:CreateSecret',
        'secretsmanager:DeleteSecret',
        'secretsmanager:GetSecretValue',
        'secretsmanager:TagResource',
      ],
      Resource: of('secretsmanager', 'secret:*'),
    },
    {
      Sid: 'Databases',
      Effect: 'Allow',
      Action: [
        'rds:AddTagsToResource',
        'rds:CreateDBInstance',
        'rds:CreateDBSnapshot',
        'rds:DeleteDBInstance',
        'rds:DeleteDBSnapshot',
        'rds:ModifyDBInstance',
        'rds:RemoveTagsFromResource',
        'rds:RestoreDBInstanceFromDBSnapshot',
        'rds:RestoreDBInstanceToPointInTime',
      ],
      Resource: ['db', 'snapshot', 'pg', 'og', 'subgrp', 'auto-backup'].map((kind) => of('rds', `${kind}:*`)),
    },
    {
      Sid: 'Observe',
      Effect: 'Allow',
      Action: ['cloudwatch:GetMetricData', 'cloudwatch:SetAlarmState', 'logs:GetLogEvents'],
      Resource: '*',
      Condition: { StringEquals: { 'aws:RequestedRegion': region } },
    },
    {
      Sid: 'Deliveries',
      Effect: 'Allow',
      Action: ['sqs:DeleteMessage', 'sqs:ReceiveMessage'],
      Resource: of('sqs', '*'),
    },
  ];
}

function pipeline({ accountId, region }: RightsOf): Statement[] {
  return [
    {
      Sid: 'Pipeline',
      Effect: 'Allow',
      Action: ['codebuild:*', 'codeconnections:*', 'codepipeline:*', 'codestar-notifications:*', 'scheduler:*'],
      Resource: '*',
      Condition: { StringEquals: { 'aws:RequestedRegion': region } },
    },
    {
      Sid: 'PipelineRoles',
      Effect: 'Allow',
      Action: [
        'iam:AttachRolePolicy',
        'iam:CreateOpenIDConnectProvider',
        'iam:CreateRole',
        'iam:DeleteOpenIDConnectProvider',
        'iam:DeleteRole',
        'iam:DeleteRolePolicy',
        'iam:DetachRolePolicy',
        'iam:GetOpenIDConnectProvider',
        'iam:ListInstanceProfilesForRole',
        'iam:PassRole',
        'iam:PutRolePolicy',
        'iam:TagOpenIDConnectProvider',
        'iam:TagRole',
        'iam:UpdateAssumeRolePolicy',
        'iam:UpdateRole',
      ],
      Resource: [
        `arn:aws:iam::${accountId}:role/*`,
        `arn:aws:iam::${accountId}:oidc-provider/token.actions.githubusercontent.com`,
      ],
    },
  ];
}
