import * as pulumi from '@pulumi/pulumi';
import { Cluster } from '@pulumi/aws/ecs/cluster.js';
import { longestTimeout, type EnvironmentSpec } from '../../model.ts';
import { Access } from './network/access.ts';
import { BackupPlan } from './database/backup-plan.ts';
import { PrivateBucket } from './storage/bucket.ts';
import { Budget } from './monitoring/budget.ts';
import { Dashboard } from './monitoring/dashboard.ts';
import { DatabaseGroups } from './database/database-groups.ts';
import { Edge } from './network/edge.ts';
import { Fence } from './network/fence.ts';
import type { FoundationOutputs } from '../lib/foundation-reference.ts';
import { Jobs } from './services/jobs.ts';
import { Keys } from './storage/keys.ts';
import { Network } from './network/network.ts';
import { Notifications } from './monitoring/notifications.ts';
import { accountProvider, Component, placeOf, type Place } from '../lib/place.ts';
import { Registry } from './services/registry.ts';
import { RouteSecret } from './network/route-secret.ts';
import type { AwsSettings } from '../lib/settings.ts';

/** Used if `spec.port` is undefined. */
const httpsPort = 443;

type Receivers = EnvironmentSpec['alertReceivers'];

/** `alertReceivers` is a secret of the stack's configuration; `spec.alertReceivers` is not used. */
export async function foundationStack(
  spec: EnvironmentSpec,
  alertReceivers: pulumi.Input<Receivers>,
  settings: AwsSettings,
): Promise<Record<string, pulumi.Input<unknown>>> {
  const place = placeOf(spec.environment, spec.application, settings);
  // Awaited, because the number of receivers decides what is declared. Their addresses are marked secret where they are
  // used.
  const receivers = await new Promise<Receivers>((resolve) => {
    pulumi.output(alertReceivers).apply(resolve);
  });
  const foundation = new Foundation({ ...spec, alertReceivers: receivers }, place, {
    providers: [accountProvider(place)],
  });
  const { outputs, routeSecret } = foundation;
  return { spec: outputs.spec, foundation: outputs, routeSecret };
}

/** What an environment has once, for both colours. */
class Foundation extends Component {
  readonly outputs: pulumi.Output<FoundationOutputs>;
  /** Value of `x-greenlight-secret`. */
  readonly routeSecret: pulumi.Output<string>;

  constructor(spec: EnvironmentSpec, place: Place, options: pulumi.ComponentResourceOptions) {
    super('Foundation', spec.environment, place, options);
    const own = this.child;
    const keys = new Keys(place, own);
    const keyArn = keys.data.arn;
    const route = new RouteSecret(keyArn, place, own);
    this.routeSecret = route.value;

    const port = spec.port ?? httpsPort;
    const network = new Network(keyArn, place, own);
    const { groups } = new Access({ vpcId: network.vpc.vpcId, entryPort: port }, place, own);
    network.connect(groups.endpoints);

    const idleSeconds = longestTimeout(spec);
    const entry = { port, idleSeconds, subnetIds: network.vpc.publicSubnetIds, securityGroupId: groups.entry, keyArn };
    const edge = new Edge(entry, place, own);
    const fence = new Fence({ keyArn, listenerArn: edge.listener.arn }, place, own);

    const registry = new Registry(keyArn, place, own);
    const bucket = new PrivateBucket('evidence', { keyArn }, place, own);
    const cluster = this.#cluster();
    const jobs = new Jobs({ repositoryArn: registry.repository.arn, keyArn }, place, own);

    const scratch = this.#forScratch(network, spec);

    const notifications = new Notifications({ receivers: spec.alertReceivers, keyArn }, place, own);
    new Dashboard(edge.balancer.arnSuffix, place, own);
    new BackupPlan({ data: keyArn, copies: keys.backup.arn }, place, own);
    new Budget(notifications, place, own);

    this.outputs = pulumi.output({
      // Without the receivers, whose addresses are secret.
      spec: { ...spec, alertReceivers: [] },
      baseUrl: `https://${place.settings.domain}${port === httpsPort ? '' : `:${port}`}`,
      network: network.outputs,
      securityGroups: groups,
      listenerArn: edge.listener.arn,
      balancerSuffix: edge.balancer.arnSuffix,
      fenceTargetGroupArn: fence.targetGroup.arn,
      cluster: { name: cluster.name, arn: cluster.arn },
      repository: { url: registry.repository.repositoryUrl, arn: registry.repository.arn },
      keyArn,
      bucket: bucket.bucket.bucket,
      alarmTopicArn: notifications.topic.arn,
      deliveryQueueUrl: notifications.deliveries.url,
      routeSecretArn: route.arn,
      jobs: jobs.outputs,
      scratch: { subnetGroup: scratch.subnets.name, parameterGroup: scratch.parameters.name },
    });
    this.registerOutputs({});
  }

  /**
   * Groups for the temporary databases of a rehearsal. The runtime creates these, possibly before any colour exists.
   */
  #forScratch({ vpc }: Network, { database }: EnvironmentSpec) {
    const args = { maxConnections: database.maxConnections, subnetIds: vpc.isolatedSubnetIds, subscribes: false };
    return new DatabaseGroups('scratch', args, this.place, this.child);
  }

  #cluster() {
    // Off by default. Without it there is no metric of a task's CPU use.
    const settings = [{ name: 'containerInsights', value: 'enhanced' }];
    return new Cluster(this.named('services'), { settings, tags: this.place.tags }, this.child);
  }
}
