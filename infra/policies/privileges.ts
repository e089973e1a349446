import { on, statementsOf, unless, type Rule, type Statement } from './rule.ts';

/**
 * Actions that do not support resources in a policy, per AWS's Service Authorization Reference. They change no
 * resource.
 */
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

/** AWS managed policies for a single service's role. The others are meant for people. */
const managedPolicies = /^arn:aws:iam::aws:policy\/service-role\//;

/** Actions with a wildcard, such as `s3:Get*`: AWS may add actions that match. */
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
        ...unless(!anywhere, `it allows ${statement.Action.join(', ')} on all resources`),
      ];
    }),
);

/** Wildcards are allowed only for a key's own account: otherwise nobody could manage the key. */
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

/**
 * Whether the trust is limited to the OIDC tokens of a GitHub environment of one repository. Without the conditions any
 * repository could assume the role. A branch as the subject would bypass the environment's reviewers.
 */
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
      'it may be assumed by others than AWS services and single GitHub workflows',
    );
  }),
);

/** The roles of the pipeline stack are exempt: an administrator creates them. */
const bounded = on(['iam/role:Role'], ({ props }, { environment }) =>
  unless(
    environment === 'account' || typeof props['permissionsBoundary'] === 'string',
    'it has no permissions boundary',
  ),
);

export const leastPrivilege: Rule = {
  name: 'least-privilege',
  description:
    'Roles have no wildcard actions, no broad managed policies and a permissions boundary, and only AWS services and single workflows may assume them.',
  each: (resource, scope) =>
    [identityPolicies, resourcePolicies, attachments, trust, bounded].flatMap((check) => check(resource, scope)),
};
