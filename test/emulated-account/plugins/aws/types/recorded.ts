import { record, type Handler, type Table } from '../../handler.ts';

/** A type that is only recorded, with an ARN in the type's form, because other resources refer to it. */
const named = (service: string, kind: string): Handler => ({
  ...record({ property: 'name' }),
  create: ({ name }, { region, accountId }) =>
    Promise.resolve({
      id: name as string,
      outputs: { arn: `arn:aws:${service}:${region}:${accountId}:${kind}${name as string}` },
    }),
});

const recorded: Table = {
  'aws:wafv2/webAcl:WebAcl': named('wafv2', 'regional/webacl/'),
  'aws:wafv2/webAclAssociation:WebAclAssociation': record(),
  'aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration': record(),
  'aws:budgets/budget:Budget': record({ property: 'name' }),
  'aws:backup/vault:Vault': named('backup', 'backup-vault:'),
  'aws:backup/plan:Plan': named('backup', 'backup-plan:'),
  'aws:backup/selection:Selection': record({ property: 'name' }),
};

/** Types that exist only in the engine's state, not in the emulated account. */
export const recordedOnly: readonly string[] = [
  ...Object.keys(recorded),
  'aws:ec2/defaultSecurityGroup:DefaultSecurityGroup',
  'aws:iam/rolePolicyAttachment:RolePolicyAttachment',
  'aws:acm/certificateValidation:CertificateValidation',
];

export const recordedTypes = recorded;
