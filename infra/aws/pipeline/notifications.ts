import type * as pulumi from '@pulumi/pulumi';
import { NotificationRule } from '@pulumi/aws/codestarnotifications/notificationRule.js';
import { Topic } from '@pulumi/aws/sns/topic.js';
import { TopicPolicy } from '@pulumi/aws/sns/topicPolicy.js';
import { TopicSubscription } from '@pulumi/aws/sns/topicSubscription.js';
import { policyDocument } from '../rights/iam.ts';
import { PipelineComponent, type PipelinePlace } from './component.ts';

export interface PipelineNotificationsArgs {
  pipelineArn: pulumi.Input<string>;
  rehearsalArn: pulumi.Input<string>;
  keyArn: pulumi.Input<string>;
}

/** Notifies people of failed releases and rehearsals. */
export class PipelineNotifications extends PipelineComponent {
  constructor(args: PipelineNotificationsArgs, place: PipelinePlace, options: pulumi.ComponentResourceOptions) {
    super('PipelineNotifications', 'pipeline-notifications', place, options);
    const topic = this.#topic(args.keyArn);
    this.#tell('release', args.pipelineArn, ['codepipeline-pipeline-pipeline-execution-failed'], topic);
    const ended = ['failed', 'stopped'].map((state) => `codebuild-project-build-state-${state}`);
    this.#tell('rehearsal', args.rehearsalArn, ended, topic);
    this.registerOutputs({});
  }

  #topic(keyArn: pulumi.Input<string>) {
    const { settings, tags } = this.place;
    const topic = new Topic(this.named('pipeline'), { kmsMasterKeyId: keyArn, tags }, this.child);
    const policy = policyDocument([
      {
        Sid: 'Notify',
        Effect: 'Allow',
        Principal: { Service: 'codestar-notifications.amazonaws.com' },
        Action: 'sns:Publish',
        Resource: topic.arn,
        Condition: { StringEquals: { 'aws:SourceAccount': settings.accountId } },
      },
    ]);
    new TopicPolicy(this.named('pipeline'), { arn: topic.arn, policy }, this.child);
    settings.notify.forEach((endpoint, i) => {
      new TopicSubscription(
        this.named(`pipeline-${i + 1}`),
        { topic: topic.arn, protocol: 'email', endpoint },
        this.child,
      );
    });
    return topic;
  }

  #tell(name: string, resource: pulumi.Input<string>, eventTypeIds: string[], topic: Topic) {
    new NotificationRule(
      this.named(`${name}-failed`),
      // FULL names what failed; BASIC only that something did.
      { resource, eventTypeIds, detailType: 'FULL', targets: [{ address: topic.arn }], tags: this.place.tags },
      this.child,
    );
  }
}
