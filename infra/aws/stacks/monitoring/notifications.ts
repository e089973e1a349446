import * as pulumi from '@pulumi/pulumi';
import { Topic } from '@pulumi/aws/sns/topic.js';
import { TopicPolicy } from '@pulumi/aws/sns/topicPolicy.js';
import { TopicSubscription } from '@pulumi/aws/sns/topicSubscription.js';
import { Queue } from '@pulumi/aws/sqs/queue.js';
import { QueuePolicy } from '@pulumi/aws/sqs/queuePolicy.js';
import type { EnvironmentSpec } from '../../../model.ts';
import { policyDocument } from '../../rights/iam.ts';
import { Component, type Place } from '../../lib/place.ts';

/** AWS services that publish to the topic. */
const publishers = ['cloudwatch', 'budgets'];

/** Delivers alarms to the configured receivers, and to a queue in which a release checks that they arrive. */
export class Notifications extends Component {
  readonly topic: Topic;
  /**
   * Lets `publishers` publish. A resource that gives them the topic must depend on this: AWS Budgets may refuse a topic
   * that it cannot publish to.
   */
  readonly mayPublish: TopicPolicy;
  readonly deliveries: Queue;

  constructor(
    { receivers, keyArn }: { receivers: EnvironmentSpec['alertReceivers']; keyArn: pulumi.Input<string> },
    place: Place,
    options: pulumi.ComponentResourceOptions,
  ) {
    super('Notifications', `${place.environment}-notifications`, place, options);
    this.topic = new Topic(this.named('alarms'), { kmsMasterKeyId: keyArn, tags: place.tags }, this.child);
    this.mayPublish = this.#mayPublish();
    for (const receiver of receivers) this.#receiver(receiver);
    this.deliveries = this.#queue(keyArn);
    this.registerOutputs({});
  }

  #mayPublish() {
    const policy = policyDocument([
      {
        Sid: 'Report',
        Effect: 'Allow',
        Principal: { Service: publishers.map((service) => `${service}.amazonaws.com`) },
        Action: 'sns:Publish',
        Resource: this.topic.arn,
        Condition: { StringEquals: { 'aws:SourceAccount': this.place.settings.accountId } },
      },
    ]);
    return new TopicPolicy(this.named('alarms'), { arn: this.topic.arn, policy }, this.child);
  }

  /** SNS sends nothing until the receiver has confirmed the subscription, by hand or by itself. */
  #receiver({ name, webhook }: EnvironmentSpec['alertReceivers'][number]) {
    if (!webhook.startsWith('https://'))
      throw new Error(`the webhook of the alert receiver ${name} is no https URL: on AWS it must be one`);
    const args = { topic: this.topic.arn, protocol: 'https', endpoint: pulumi.secret(webhook) };
    new TopicSubscription(this.named(`to-${name}`), args, this.child);
  }

  #queue(keyArn: pulumi.Input<string>) {
    const { tags } = this.place;
    const queue = new Queue(
      this.named('deliveries'),
      // Seconds: a day, long enough to cover a release.
      { kmsMasterKeyId: keyArn, messageRetentionSeconds: 24 * 60 * 60, tags },
      this.child,
    );
    const policy = policyDocument([
      {
        Sid: 'FromTopic',
        Effect: 'Allow',
        Principal: { Service: 'sns.amazonaws.com' },
        Action: 'sqs:SendMessage',
        Resource: queue.arn,
        Condition: { ArnEquals: { 'aws:SourceArn': this.topic.arn } },
      },
    ]);
    new QueuePolicy(this.named('deliveries'), { queueUrl: queue.url, policy }, this.child);
    const args = { topic: this.topic.arn, protocol: 'sqs', endpoint: queue.arn };
    new TopicSubscription(this.named('deliveries'), args, this.child);
    return queue;
  }
}
