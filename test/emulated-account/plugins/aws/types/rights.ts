import type { RoleArgs } from '@pulumi/aws/iam/role.js';
import type { RolePolicyArgs } from '@pulumi/aws/iam/rolePolicy.js';
import type { RolePolicyAttachmentArgs } from '@pulumi/aws/iam/rolePolicyAttachment.js';
import type { AliasArgs } from '@pulumi/aws/kms/alias.js';
import type { KeyArgs } from '@pulumi/aws/kms/key.js';
import { resource, type Context, type Table } from '../../handler.ts';

const iam = ({ clients }: Context, action: string, fields: Record<string, string>): Promise<string> =>
  clients.query('iam', '2010-05-08', action, fields);

const kms = ({ clients }: Context, action: string, input: Record<string, unknown>) =>
  clients.json('kms', `TrentService.${action}`, input);

const formTags = (tags: Record<string, string> | undefined): Record<string, string> =>
  Object.fromEntries(
    Object.entries(tags ?? {}).flatMap(([key, value], index) => [
      [`Tags.member.${index + 1}.Key`, key],
      [`Tags.member.${index + 1}.Value`, value],
    ]),
  );

const computed = (answer: string) => {
  const field = (tag: string) => new RegExp(`<${tag}>([^<]*)<`).exec(answer)?.[1];
  return { arn: field('Arn'), uniqueId: field('RoleId') };
};

const role = resource<RoleArgs>({
  autoName: { property: 'name', maxLength: 64 },
  replaces: ['name'],
  async create({ name, assumeRolePolicy, permissionsBoundary, tags }, context) {
    const fields = {
      ...(permissionsBoundary === undefined ? {} : { PermissionsBoundary: permissionsBoundary }),
      RoleName: name as string,
      AssumeRolePolicyDocument: assumeRolePolicy as string,
      ...formTags(tags),
    };
    const answer = await iam(context, 'CreateRole', fields);
    return { id: name as string, outputs: computed(answer) };
  },
  async read(id, _state, context) {
    return computed(await iam(context, 'GetRole', { RoleName: id }));
  },
  async update({ id, inputs, changed }, context) {
    if (changed('assumeRolePolicy')) {
      const PolicyDocument = inputs.assumeRolePolicy as string;
      await iam(context, 'UpdateAssumeRolePolicy', { RoleName: id, PolicyDocument });
    }
    if (changed('tags')) await iam(context, 'TagRole', { RoleName: id, ...formTags(inputs.tags) });
  },
  async delete(id, _state, context) {
    await iam(context, 'DeleteRole', { RoleName: id });
  },
});

const rolePolicy = resource<RolePolicyArgs>({
  autoName: { property: 'name' },
  replaces: ['name', 'role'],
  async create(inputs, context) {
    await putRolePolicy(inputs, context);
    return { id: `${inputs.role as string}:${inputs.name}` };
  },
  async read(_id, state, context) {
    await iam(context, 'GetRolePolicy', { RoleName: state.role as string, PolicyName: state.name as string });
    return {};
  },
  async update({ inputs }, context) {
    await putRolePolicy(inputs, context);
  },
  async delete(_id, state, context) {
    const fields = { RoleName: state.role as string, PolicyName: state.name as string };
    await iam(context, 'DeleteRolePolicy', fields);
  },
});

const putRolePolicy = (
  { role: of, name, policy }: { role: unknown; name?: string; policy: unknown },
  context: Context,
) =>
  iam(context, 'PutRolePolicy', {
    RoleName: of as string,
    PolicyName: name as string,
    PolicyDocument: policy as string,
  });

/** AWS's managed policies exist only in a real account, so nothing is attached. */
const attachment = resource<RolePolicyAttachmentArgs>({
  replaces: 'all',
  create: ({ role: of, policyArn }) => Promise.resolve({ id: `${of as string}/${policyArn}` }),
});

const key = resource<KeyArgs>({
  replaces: [],
  async create({ description, policy, enableKeyRotation, tags }, context) {
    const Tags = Object.entries(tags ?? {}).map(([TagKey, TagValue]) => ({ TagKey, TagValue }));
    const { KeyMetadata } = await kms(context, 'CreateKey', { Description: description, Policy: policy, Tags });
    const { KeyId, Arn } = KeyMetadata as { KeyId: string; Arn: string };
    if (enableKeyRotation === true) await kms(context, 'EnableKeyRotation', { KeyId });
    return { id: KeyId, outputs: { arn: Arn, keyId: KeyId } };
  },
  async read(id, _state, context) {
    const { KeyMetadata } = await kms(context, 'DescribeKey', { KeyId: id });
    return (KeyMetadata as { KeyState: string }).KeyState === 'PendingDeletion' ? undefined : {};
  },
  async update({ id, inputs, changed }, context) {
    if (changed('policy'))
      await kms(context, 'PutKeyPolicy', { KeyId: id, PolicyName: 'default', Policy: inputs.policy });
  },
  async delete(id, { deletionWindowInDays }, context) {
    await kms(context, 'ScheduleKeyDeletion', { KeyId: id, PendingWindowInDays: deletionWindowInDays ?? 30 });
  },
});

const alias = resource<AliasArgs>({
  autoName: { property: 'name', prefix: 'alias/' },
  replaces: ['name'],
  async create({ name, targetKeyId }, context) {
    await kms(context, 'CreateAlias', { AliasName: name, TargetKeyId: targetKeyId });
    return { id: name as string, outputs: { arn: `arn:aws:kms:${context.region}:${context.accountId}:${name}` } };
  },
  async read(id, _state, context) {
    const { Aliases } = await kms(context, 'ListAliases', {});
    const found = (Aliases as { AliasName: string; AliasArn: string; TargetKeyId?: string }[]).find(
      ({ AliasName }) => AliasName === id,
    );
    return found && { arn: found.AliasArn, targetKeyId: found.TargetKeyId };
  },
  async update({ id, inputs }, context) {
    await kms(context, 'UpdateAlias', { AliasName: id, TargetKeyId: inputs.targetKeyId });
  },
  async delete(id, _state, context) {
    await kms(context, 'DeleteAlias', { AliasName: id });
  },
});

export const rights: Table = {
  'aws:iam/role:Role': role,
  'aws:iam/rolePolicy:RolePolicy': rolePolicy,
  'aws:iam/rolePolicyAttachment:RolePolicyAttachment': attachment,
  'aws:kms/key:Key': key,
  'aws:kms/alias:Alias': alias,
};
