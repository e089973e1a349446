import { on, statementsOf, unless, type Rule, type Statement } from './rule.ts';

/** Actions for which AWS knows no resource, says the Service Authorization Reference. They give no right to any object. */
const withoutResource = [
  'ec2:DescribeDhcpOptions',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSecurityGroups',
  'ec2:DescribeSubnets',
  'ec2:DescribeVpcs',
  'ecr:GetAuthorizationToken',
  'elasticloadbalancing:DescribeRules',
  'elasticloadbalancing:DescribeTags',
];

/** Managed policies made for one service each; the others give a person's rights. */
const managedPolicies = /^arn:aws:iam::aws:policy\/service-role\//;

/** `s3:*`, `*`, and `s3:Get*`: what a wildcard allows grows with AWS. */
const wideActions = (statement: Statement): string[] => statement.Action.filter((action) => action.includes('*'));

const granted = (document: unknown): Statement[] => statementsOf(document).filter(({ Effect }) => Effect === 'Allow');

const identityPolicies = on(
  ['iam/rolePolicy:RolePolicy', 'iam/policy:Policy', 'iam/userPolicy:UserPolicy'],
  ({ props }) =>
    granted(props['policy']).flatMap((statement) => {
      const wide = wideActions(statement);
      const anywhere =
        statement.Resource.includes('*') && !statement.Action.every((action) => withoutResource.includes(action));
      return [
        ...unless(wide.length === 0, `it allows ${wide.join(', ')}`),
        ...unless(!anywhere, `it allows ${statement.Action.join(', ')} on everything`),
      ];
    }),
);

/** A key that its account cannot manage is lost; nobody else gets more than single actions. */
const resourcePolicies = on(
  ['kms/key:Key', 'sns/topicPolicy:TopicPolicy', 'sqs/queuePolicy:QueuePolicy', 's3/bucketPolicy:BucketPolicy'],
  ({ type, props }) =>
    granted(props['policy']).flatMap((statement) => {
      const principal = JSON.stringify(statement.Principal ?? '');
      const isOwnAccount = type === 'aws:kms/key:Key' && /^\{"AWS":"arn:aws:iam::\d{12}:root"\}$/.test(principal);
      const wide = isOwnAccount ? [] : wideActions(statement);
      return unless(wide.length === 0, `it allows ${wide.join(', ')} to ${principal}`);
    }),
);

const attachments = on(['iam/rolePolicyAttachment:RolePolicyAttachment'], ({ props }) => {
  const arn = String(props['policyArn']);
  return unless(
    managedPolicies.test(arn) || !arn.startsWith('arn:aws:iam::aws:'),
    `${arn} allows far more than one service needs`,
  );
});

/** GitHub vouches for one repository's environment, for AWS alone. Without these conditions: for any repository there is; by a branch: without reviewers. */
function isOneWorkflow({ Action, Principal, Condition }: Statement): boolean {
  const provider = typeof Principal === 'object' ? Principal['Federated'] : undefined;
  const equal = Condition?.['StringEquals'] ?? {};
  const subjects = [equal['token.actions.githubusercontent.com:sub'] ?? []].flat().map(String);
  return (
    typeof provider === 'string' &&
    Action.every((action) => action === 'sts:AssumeRoleWithWebIdentity') &&
    equal['token.actions.githubusercontent.com:aud'] === 'sts.amazonaws.com' &&
    subjects.length > 0 &&
    subjects.every((subject) => /^repo:[^/*]+\/[^:*]+:environment:[^*]+$/.test(subject))
  );
}

const trust = on(['iam/role:Role'], ({ props }) =>
  granted(props['assumeRolePolicy']).flatMap((statement) => {
    if (isOneWorkflow(statement)) return [];
    const { Principal } = statement;
    const services = typeof Principal === 'object' ? Object.keys(Principal) : [];
    return unless(
      services.every((kind) => kind === 'Service') && services.length > 0,
      'somebody other than a service of AWS, or one workflow, may assume it',
    );
  }),
);

/** Those of the pipeline carry the rights to release, and are an administrator's. */
const bounded = on(['iam/role:Role'], ({ props }, { environment }) =>
  unless(
    environment === 'account' || typeof props['permissionsBoundary'] === 'string',
    'no boundary limits what it may be given',
  ),
);

export const leastPrivilege: Rule = {
  name: 'least-privilege',
  description:
    'No wildcard in what a role may do, no wide managed policy, a boundary, and only services and single workflows assume roles.',
  each: (resource, scope) =>
    [identityPolicies, resourcePolicies, attachments, trust, bounded].flatMap((check) => check(resource, scope)),
};
