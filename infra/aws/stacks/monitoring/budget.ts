import type * as pulumi from '@pulumi/pulumi';
import { Budget as AwsBudget } from '@pulumi/aws/budgets/budget.js';
import type { Notifications } from './notifications.ts';
import { Component, type Place } from '../../lib/place.ts';

/** Notifies the environment's receivers at 80% and 100% of the monthly budget, and when the forecast exceeds it. */
export class Budget extends Component {
  constructor(
    { topic, mayPublish }: Pick<Notifications, 'topic' | 'mayPublish'>,
    place: Place,
    options: pulumi.ComponentResourceOptions,
  ) {
    super('Budget', `${place.environment}-budget`, place, options);
    const tell = (notificationType: string, threshold: number) => ({
      notificationType,
      threshold,
      thresholdType: 'PERCENTAGE',
      comparisonOperator: 'GREATER_THAN',
      subscriberSnsTopicArns: [topic.arn],
    });
    new AwsBudget(
      this.named('monthly'),
      {
        budgetType: 'COST',
        limitAmount: String(place.settings.monthlyBudget),
        limitUnit: 'USD',
        timeUnit: 'MONTHLY',
        // The tag must be activated for cost allocation once per account (docs/aws.md), or nothing is counted.
        costFilters: [{ name: 'TagKeyValue', values: [`user:environment$${place.environment}`] }],
        notifications: [tell('FORECASTED', 100), tell('ACTUAL', 80), tell('ACTUAL', 100)],
        tags: place.tags,
      },
      { parent: this, dependsOn: mayPublish },
    );
    this.registerOutputs({});
  }
}
