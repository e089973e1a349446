import * as pulumi from '@pulumi/pulumi';
import { Topic } from '@pulumi/aws/sns/topic.js';
import { TopicPolicy } from '@pulumi/aws/sns/topicPolicy.js';
import { TopicSubscription } from '@pulumi/aws/sns/topicSubscription.js';
import { Queue } from '@pulumi/aws/sqs/queue.js';
import { QueuePolicy } from '@pulumi/aws/sqs/queuePolicy.js';
import type { EnvironmentSpec } from '../../../model.ts';
import { policyDocument } from '../../rights/iam.ts';
import { Component, type Place } from '../../lib/place.ts';

/** Services that report to the topic by themselves. */
const reporters = ['cloudwatch', 'budgets'];

/** Where alarms go: to the configured receivers, and to a queue in which a release sees that they do. */
export class Notifications extends Component {
  readonly topic: Topic;
  /** Lets them report: what names the topic to one of them comes after it, as AWS Budgets may refuse a topic that is closed to it. */
  readonly mayReport: TopicPolicy;
  readonly deliveries: Queue;

  constructor(
    { receivers, keyArn }: { receivers: EnvironmentSpec['alertReceivers']; keyArn: pulumi.Input<string> },
    place: Place,
    options: pulumi.ComponentResourceOptions,
  ) {
    super('Notifications', `${place.environment}-notifications`, place, options);
    this.topic = new Topic(this.named('alarms'), { kmsMasterKeyId: keyArn, tags: place.tags }, this.child);
    this.mayReport = this.#mayReport();
    for (const receiver of receivers) this.#receiver(receiver);
    this.deliveries = this.#queue(keyArn);
    this.registerOutputs({});
  }

  #mayReport() {
    const policy = policyDocument([
      {
        Sid: 'Report',
        Effect: 'Allow',
        Principal: { Service: reporters.map((service) => `${service}.amazonaws.com`) },
        Action: 'sns:Publish',
        Resource: this.topic.arn,
        Condition: { StringEquals: { 'aws:SourceAccount': this.place.settings.accountId } },
      },
    ]);
    return new TopicPolicy(this.named('alarms'), { arn: this.topic.arn, policy }, this.child);
  }

  /** SNS sends nothing until the receiver has confirmed the subscription: by hand, or by itself where it knows SNS. */
  #receiver({ name, webhook }: EnvironmentSpec['alertReceivers'][number]) {
    if (!webhook.startsWith('https://'))
      throw new Error(`the alert receiver ${name} is not reached by https: on AWS it must be`);
    const args = { topic: this.topic.arn, protocol: 'https', endpoint: pulumi.secret(webhook) };
    new TopicSubscription(this.named(`to-${name}`), args, this.child);
  }

  #queue(keyArn: pulumi.Input<string>) {
    const { tags } = this.place;
    const queue = new Queue(
      this.named('deliveries'),
      // Long enough to look back over a release; a day's alarms are not evidence of the next.
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
