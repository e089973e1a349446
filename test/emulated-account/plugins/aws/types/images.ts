import {
  CreateRepositoryCommand,
  DeleteLifecyclePolicyCommand,
  DeleteRepositoryCommand,
  DescribeRepositoriesCommand,
  type EncryptionType,
  GetLifecyclePolicyCommand,
  type ImageTagMutability,
  PutLifecyclePolicyCommand,
  type Repository,
} from '@aws-sdk/client-ecr';
import type { LifecyclePolicyArgs } from '@pulumi/aws/ecr/lifecyclePolicy.js';
import type { RepositoryArgs } from '@pulumi/aws/ecr/repository.js';
import { resource, type Table } from '../../handler.ts';
import { tagList } from './tags.ts';

const computed = (found: Repository | undefined) => ({
  arn: found?.repositoryArn,
  repositoryUrl: found?.repositoryUri,
  registryId: found?.registryId,
});

const repository = resource<RepositoryArgs>({
  autoName: { property: 'name' },
  replaces: ['name', 'encryptionConfigurations'],
  async create(inputs, { clients }) {
    const [encryption] = inputs.encryptionConfigurations ?? [];
    const { repository: made } = await clients.images.send(
      new CreateRepositoryCommand({
        repositoryName: inputs.name,
        imageTagMutability: inputs.imageTagMutability as ImageTagMutability | undefined,
        imageScanningConfiguration: inputs.imageScanningConfiguration,
        ...(encryption && {
          encryptionConfiguration: {
            encryptionType: encryption.encryptionType as EncryptionType,
            kmsKey: encryption.kmsKey,
          },
        }),
        tags: tagList(inputs.tags),
      }),
    );
    return { id: inputs.name as string, outputs: computed(made) };
  },
  async read(id, _state, { clients }) {
    const { repositories } = await clients.images.send(new DescribeRepositoriesCommand({ repositoryNames: [id] }));
    return { ...computed(repositories?.[0]), imageTagMutability: repositories?.[0]?.imageTagMutability };
  },
  update: () => Promise.resolve(),
  async delete(id, { forceDelete }, { clients }) {
    await clients.images.send(new DeleteRepositoryCommand({ repositoryName: id, force: forceDelete }));
  },
});

const lifecyclePolicy = resource<LifecyclePolicyArgs>({
  replaces: ['repository'],
  async create({ repository: of, policy }, { clients }) {
    const asked = { repositoryName: of, lifecyclePolicyText: policy as string };
    await clients.images.send(new PutLifecyclePolicyCommand(asked));
    return { id: of };
  },
  async read(id, _state, { clients }) {
    await clients.images.send(new GetLifecyclePolicyCommand({ repositoryName: id }));
    return {};
  },
  async update({ id, inputs }, { clients }) {
    const asked = { repositoryName: id, lifecyclePolicyText: inputs.policy as string };
    await clients.images.send(new PutLifecyclePolicyCommand(asked));
  },
  async delete(id, _state, { clients }) {
    await clients.images.send(new DeleteLifecyclePolicyCommand({ repositoryName: id }));
  },
});

export const images: Table = {
  'aws:ecr/repository:Repository': repository,
  'aws:ecr/lifecyclePolicy:LifecyclePolicy': lifecyclePolicy,
};
