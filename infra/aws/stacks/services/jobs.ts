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
 * What one-off tasks (migrations, tests, previews) run with. Their definitions are made when they run, one per run, so that a
 * definition never has to fit an artefact that nobody knew of when the stack came up.
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

  /** What ECS needs before the program runs: this environment's images, the secrets of one-off tasks, their log. */
  #toStart({ repositoryArn, keyArn }: JobsArgs, logArn: pulumi.Output<string>): Statement[] {
    const { environment, settings } = this.place;
    const pull = ['ecr:BatchCheckLayerAvailability', 'ecr:GetDownloadUrlForLayer', 'ecr:BatchGetImage'];
    const secrets = `arn:aws:secretsmanager:${settings.region}:${settings.accountId}:secret:${jobSecretPrefix(environment)}*`;
    return [
      { Effect: 'Allow', Action: pull, Resource: repositoryArn },
      // AWS knows no resource for it: it gives the login to the registry, and no right to any image.
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
