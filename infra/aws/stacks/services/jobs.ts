import * as pulumi from '@pulumi/pulumi';
import { serviceRole, type Statement } from '../../rights/iam.ts';
import { logGroup } from '../storage/log-group.ts';
import { jobSecretPrefix } from '../../lib/names.ts';
import { Component, type Place } from '../../lib/place.ts';

export interface JobsArgs {
  repositoryArn: pulumi.Input<string>;
  keyArn: pulumi.Input<string>;
}

/**
 * Roles and log group of one-off tasks (migrations, tests, previews). Their task definitions are registered at run
 * time, because the artefact is not known when this stack comes up.
 */
export class Jobs extends Component {
  readonly outputs: pulumi.Output<{ executionRoleArn: string; taskRoleArn: string; logGroup: string }>;

  constructor(args: JobsArgs, place: Place, options: pulumi.ComponentResourceOptions) {
    super('Jobs', `${place.environment}-jobs`, place, options);
    const logs = logGroup(
      this.named('jobs'),
      { name: `/greenlight/${place.environment}/jobs`, place, keyArn: args.keyArn },
      this,
    );
    const start = this.#role('jobs-start', this.#toStart(args, logs.arn));
    const run = this.#role('jobs-run', []);
    this.outputs = pulumi.output({ executionRoleArn: start.arn, taskRoleArn: run.arn, logGroup: logs.name });
    this.registerOutputs({});
  }

  #role = (name: string, statements: Statement[]) =>
    serviceRole(this.named(name), { place: this.place, service: 'ecs-tasks.amazonaws.com', statements }, this);

  /**
   * Rights of ECS to start a task: pull this environment's images, read the secrets of one-off tasks, write their log.
   */
  #toStart({ repositoryArn, keyArn }: JobsArgs, logArn: pulumi.Output<string>): Statement[] {
    const { environment, settings } = this.place;
    const pull = ['ecr:BatchCheckLayerAvailability', 'ecr:GetDownloadUrlForLayer', 'ecr:BatchGetImage'];
    const secrets = `arn:aws:secretsmanager:${settings.region}:${settings.accountId}:secret:${jobSecretPrefix(environment)}*`;
    return [
      { Effect: 'Allow', Action: pull, Resource: repositoryArn },
      // This action takes no resource. It allows the login to the registry, and gives no right to an image.
      { Effect: 'Allow', Action: 'ecr:GetAuthorizationToken', Resource: '*' },
      {
        Effect: 'Allow',
        Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        Resource: pulumi.interpolate`${logArn}:*`,
      },
      { Effect: 'Allow', Action: 'secretsmanager:GetSecretValue', Resource: secrets },
      { Effect: 'Allow', Action: 'kms:Decrypt', Resource: keyArn },
    ];
  }
}
