import {
  CreateTopicCommand,
  DeleteTopicCommand,
  GetTopicAttributesCommand,
  SetTopicAttributesCommand,
  SubscribeCommand,
  UnsubscribeCommand,
} from '@aws-sdk/client-sns';
import {
  CreateQueueCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  type QueueAttributeName,
  SetQueueAttributesCommand,
} from '@aws-sdk/client-sqs';
import type { Unwrap } from '@pulumi/pulumi';
import type { TopicArgs } from '@pulumi/aws/sns/topic.js';
import type { TopicPolicyArgs } from '@pulumi/aws/sns/topicPolicy.js';
import type { TopicSubscriptionArgs } from '@pulumi/aws/sns/topicSubscription.js';
import type { QueueArgs } from '@pulumi/aws/sqs/queue.js';
import type { QueuePolicyArgs } from '@pulumi/aws/sqs/queuePolicy.js';
import { resource, type Table } from '../../handler.ts';
import { tagList } from './tags.ts';

const topic = resource<TopicArgs>({
  autoName: { property: 'name' },
  replaces: ['name'],
  async create({ name, kmsMasterKeyId, tags }, { clients }) {
    const Attributes: Record<string, string> = kmsMasterKeyId === undefined ? {} : { KmsMasterKeyId: kmsMasterKeyId };
    const { TopicArn } = await clients.topics.send(
      new CreateTopicCommand({ Name: name, Attributes, Tags: tagList(tags) }),
    );
    return { id: TopicArn as string, outputs: { arn: TopicArn } };
  },
  async read(id, _state, { clients }) {
    await clients.topics.send(new GetTopicAttributesCommand({ TopicArn: id }));
    return { arn: id };
  },
  async delete(id, _state, { clients }) {
    await clients.topics.send(new DeleteTopicCommand({ TopicArn: id }));
  },
  update: () => Promise.resolve(),
});

const topicPolicy = resource<TopicPolicyArgs>({
  replaces: 'all',
  async create({ arn, policy }, { clients }) {
    const asked = { TopicArn: arn, AttributeName: 'Policy', AttributeValue: policy as string };
    await clients.topics.send(new SetTopicAttributesCommand(asked));
    return { id: arn };
  },
});

const subscription = resource<TopicSubscriptionArgs>({
  replaces: 'all',
  async create({ topic: of, protocol, endpoint, rawMessageDelivery }, { clients }) {
    const { SubscriptionArn } = await clients.topics.send(
      new SubscribeCommand({
        TopicArn: of as string,
        Protocol: protocol,
        Endpoint: endpoint,
        ReturnSubscriptionArn: true,
        ...(rawMessageDelivery === true ? { Attributes: { RawMessageDelivery: 'true' } } : {}),
      }),
    );
    return { id: SubscriptionArn as string, outputs: { arn: SubscriptionArn } };
  },
  async delete(id, _state, { clients }) {
    await clients.topics.send(new UnsubscribeCommand({ SubscriptionArn: id }));
  },
});

const queueAttributes = (inputs: Unwrap<QueueArgs>): Partial<Record<QueueAttributeName, string>> => ({
  ...(inputs.kmsMasterKeyId === undefined ? {} : { KmsMasterKeyId: inputs.kmsMasterKeyId }),
  ...(inputs.messageRetentionSeconds === undefined
    ? {}
    : { MessageRetentionPeriod: String(inputs.messageRetentionSeconds) }),
  ...(inputs.visibilityTimeoutSeconds === undefined
    ? {}
    : { VisibilityTimeout: String(inputs.visibilityTimeoutSeconds) }),
});

const queue = resource<QueueArgs>({
  autoName: { property: 'name' },
  replaces: ['name'],
  async create(inputs, { clients }) {
    const { QueueUrl } = await clients.queues.send(
      new CreateQueueCommand({ QueueName: inputs.name, Attributes: queueAttributes(inputs), tags: inputs.tags }),
    );
    const { Attributes } = await clients.queues.send(
      new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }),
    );
    return { id: QueueUrl as string, outputs: { url: QueueUrl, arn: Attributes?.QueueArn } };
  },
  async read(id, _state, { clients }) {
    await clients.queues.send(new GetQueueAttributesCommand({ QueueUrl: id, AttributeNames: ['QueueArn'] }));
    return {};
  },
  async update({ id, inputs }, { clients }) {
    await clients.queues.send(new SetQueueAttributesCommand({ QueueUrl: id, Attributes: queueAttributes(inputs) }));
  },
  async delete(id, _state, { clients }) {
    await clients.queues.send(new DeleteQueueCommand({ QueueUrl: id }));
  },
});

const queuePolicy = resource<QueuePolicyArgs>({
  replaces: 'all',
  async create({ queueUrl, policy }, { clients }) {
    const Attributes = { Policy: policy as string };
    await clients.queues.send(new SetQueueAttributesCommand({ QueueUrl: queueUrl, Attributes }));
    return { id: queueUrl };
  },
});

export const messages: Table = {
  'aws:sns/topic:Topic': topic,
  'aws:sns/topicPolicy:TopicPolicy': topicPolicy,
  'aws:sns/topicSubscription:TopicSubscription': subscription,
  'aws:sqs/queue:Queue': queue,
  'aws:sqs/queuePolicy:QueuePolicy': queuePolicy,
};
