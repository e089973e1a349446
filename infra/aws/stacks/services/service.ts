import type * as pulumi from '@pulumi/pulumi';
import { Service as EcsService } from '@pulumi/aws/ecs/service.js';
import { TargetGroup } from '@pulumi/aws/lb/targetGroup.js';
import type { ListenerRule } from '@pulumi/aws/lb/listenerRule.js';
import { timeoutsOf, type Colour, type ServiceSpec } from '../../../model.ts';
import type { FoundationOutputs } from '../../lib/foundation-reference.ts';
import { headerRoutes } from './header-routes.ts';
import { servicePort } from '../../lib/names.ts';
import { Component, type Place } from '../../lib/place.ts';
import { Scaling } from './scaling.ts';
import { Task } from './task.ts';

/** Fewer would not survive the loss of a zone. */
export const leastTasks = 2;

export interface ServiceArgs {
  colour: Colour;
  service: ServiceSpec;
  image: pulumi.Input<string>;
  environment: Record<string, string>;
  secrets: Record<string, pulumi.Input<string>>;
  foundation: FoundationOutputs;
  routeSecret: pulumi.Input<string>;
}

/** One service of one colour: tasks over all zones, reached through its target group. */
export class Service extends Component {
  readonly targetGroup: TargetGroup;
  readonly service: EcsService;
  readonly tasks: number;
  readonly #args: ServiceArgs;

  constructor(args: ServiceArgs, place: Place, options: pulumi.ComponentResourceOptions) {
    super('Service', `${place.environment}-${args.colour}-${args.service.name}`, place, options);
    this.#args = args;
    this.tasks = Math.max(leastTasks, args.service.instances);
    this.targetGroup = this.#targetGroup();
    const routes = headerRoutes({ ...args, targetGroup: this.targetGroup }, place, this);
    this.service = this.#service(this.#task(), routes);
    new Scaling(
      this.#name,
      { cluster: args.foundation.cluster.name, service: this.service.name, least: this.tasks },
      place,
      this.child,
    );
    this.registerOutputs({});
  }

  get #name() {
    return `${this.#args.colour}-${this.#args.service.name}`;
  }

  #targetGroup() {
    return new TargetGroup(
      this.named(this.#name),
      {
        // A target group's name has at most 32 characters, too few for Pulumi's generated names. Its tags identify it.
        namePrefix: `${this.#args.colour}-`,
        vpcId: this.#args.foundation.network.vpcId,
        targetType: 'ip',
        port: servicePort,
        protocol: 'HTTP',
        // Seconds. As long as a request may take. With the default of 300 each step of a release would wait for connections that nobody ends.
        deregistrationDelay: timeoutsOf(this.#args.service).answerSeconds,
        // A cookie of the balancer, which it makes private, for a day.
        ...(this.#args.service.sticky === true
          ? { stickiness: { type: 'lb_cookie', enabled: true, cookieDuration: 86_400 } }
          : {}),
        healthCheck: {
          path: this.#args.service.health,
          matcher: '200',
          // Seconds. A failed task is out of service after 10 s. With AWS's defaults (30 s, two bad answers) it would
          // take a minute.
          interval: 5,
          timeout: 4,
          healthyThreshold: 2,
          unhealthyThreshold: 2,
        },
        // The runtime finds the target group by this tag and the tag `colour`.
        tags: { ...this.place.tags, service: this.#args.service.name },
      },
      this.child,
    );
  }

  #task() {
    const { service, image, environment, secrets, foundation } = this.#args;
    const task = { image, environment, secrets, repositoryArn: foundation.repository.arn, keyArn: foundation.keyArn };
    return new Task({ ...task, name: this.#name, command: service.start }, this.place, this.child);
  }

  #service(task: Task, routes: ListenerRule[]) {
    const { foundation } = this.#args;
    return new EcsService(
      this.named(this.#name),
      {
        cluster: foundation.cluster.arn,
        taskDefinition: task.definition.arn,
        launchType: 'FARGATE',
        desiredCount: this.tasks,
        // A version whose tasks do not become healthy is rolled back instead of being retried for ever.
        deploymentCircuitBreaker: { enable: true, rollback: true },
        deploymentMinimumHealthyPercent: 100,
        deploymentMaximumPercent: 200,
        availabilityZoneRebalancing: 'ENABLED',
        healthCheckGracePeriodSeconds: 30,
        // Ready before routed: the stack comes up only when the tasks are healthy.
        waitForSteadyState: true,
        enableExecuteCommand: false,
        enableEcsManagedTags: true,
        propagateTags: 'SERVICE',
        networkConfiguration: {
          subnets: foundation.network.privateSubnetIds,
          securityGroups: [foundation.securityGroups.tasks],
          assignPublicIp: false,
        },
        loadBalancers: [
          { targetGroupArn: this.targetGroup.arn, containerName: this.#name, containerPort: servicePort },
        ],
        tags: this.place.tags,
      },
      // ECS refuses a target group that no listener uses. Autoscaling sets `desiredCount`.
      { parent: this, dependsOn: routes, ignoreChanges: ['desiredCount'] },
    );
  }
}
