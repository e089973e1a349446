import {
  CreateSecretCommand,
  DeleteSecretCommand,
  DescribeSecretCommand,
  PutSecretValueCommand,
  TagResourceCommand,
  UntagResourceCommand,
} from '@aws-sdk/client-secrets-manager';
import type { SecretArgs } from '@pulumi/aws/secretsmanager/secret.js';
import type { SecretVersionArgs } from '@pulumi/aws/secretsmanager/secretVersion.js';
import { isMissing } from '../../../../../infra/aws/runtime/client/errors.ts';
import { resource, type Context, type Table } from '../../handler.ts';
import { tagChange, tagList, tagMap } from './tags.ts';

const secret = resource<SecretArgs>({
  autoName: { property: 'name' },
  replaces: ['name'],
  async create({ name, kmsKeyId, description, tags }, { clients }) {
    const made = await clients.secrets.send(
      new CreateSecretCommand({ Name: name, KmsKeyId: kmsKeyId, Description: description, Tags: tagList(tags) }),
    );
    return { id: made.ARN as string, outputs: { arn: made.ARN } };
  },
  async read(id, _state, context) {
    const found = await describe(id, context);
    return found && { tags: tagMap(found.Tags) };
  },
  async update({ id, inputs, state }, { clients }) {
    const { added, removed } = tagChange(state.tags, inputs.tags);
    if (removed.length > 0) await clients.secrets.send(new UntagResourceCommand({ SecretId: id, TagKeys: removed }));
    if (Object.keys(added).length > 0)
      await clients.secrets.send(new TagResourceCommand({ SecretId: id, Tags: tagList(added) }));
  },
  async delete(id, { recoveryWindowInDays }, { clients }) {
    const how =
      recoveryWindowInDays === 0
        ? { ForceDeleteWithoutRecovery: true }
        : { RecoveryWindowInDays: recoveryWindowInDays ?? 30 };
    await clients.secrets.send(new DeleteSecretCommand({ SecretId: id, ...how }));
  },
});

/** Undefined if it does not exist, or is deleted but still recoverable. */
async function describe(SecretId: string, { clients }: Context) {
  try {
    const found = await clients.secrets.send(new DescribeSecretCommand({ SecretId }));
    return found.DeletedDate === undefined ? found : undefined;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** No `delete`: the last version of a secret is deleted only with the secret. */
const version = resource<SecretVersionArgs>({
  replaces: 'all',
  async create({ secretId, secretString }, { clients }) {
    const { ARN, VersionId } = await clients.secrets.send(
      new PutSecretValueCommand({ SecretId: secretId, SecretString: secretString }),
    );
    return { id: `${secretId}|${VersionId}`, outputs: { arn: ARN, versionId: VersionId } };
  },
  async read(_id, state, context) {
    const found = await describe(state.secretId, context);
    return found?.VersionIdsToStages?.[state['versionId'] as string] === undefined ? undefined : {};
  },
});

export const secrets: Table = {
  'aws:secretsmanager/secret:Secret': secret,
  'aws:secretsmanager/secretVersion:SecretVersion': version,
};
