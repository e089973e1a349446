import * as pulumi from '@pulumi/pulumi';
import { Dashboard as CloudWatchDashboard } from '@pulumi/aws/cloudwatch/dashboard.js';
import { colours } from '../../../model.ts';
import { databaseIdentifier, Component, type Place } from '../../lib/place.ts';

type Metric = (string | { stat: string })[];

/** One dashboard per environment: requests, errors and latency at the entry point, and the state of the databases. */
export class Dashboard extends Component {
  constructor(balancerSuffix: pulumi.Input<string>, place: Place, options: pulumi.ComponentResourceOptions) {
    super('Dashboard', `${place.environment}-dashboard`, place, options);
    const dashboardBody = pulumi.output(balancerSuffix).apply((balancer) => JSON.stringify(this.#body(balancer)));
    const dashboardName = `${place.tags['application']}-${place.environment}`;
    new CloudWatchDashboard(this.named('overview'), { dashboardName, dashboardBody }, this.child);
    this.registerOutputs({});
  }

  #body(balancer: string) {
    const entry = (metric: string, stat: string): Metric => [
      'AWS/ApplicationELB',
      metric,
      'LoadBalancer',
      balancer,
      { stat },
    ];
    const databases = (metric: string): Metric[] =>
      colours.map((colour) => [
        'AWS/RDS',
        metric,
        'DBInstanceIdentifier',
        databaseIdentifier(this.place, colour),
        { stat: 'Average' },
      ]);
    const widgets = [
      this.#graph('Requests', [entry('RequestCount', 'Sum')]),
      this.#graph('Errors', [entry('HTTPCode_Target_5XX_Count', 'Sum'), entry('HTTPCode_ELB_5XX_Count', 'Sum')]),
      this.#graph('Latency, seconds', [entry('TargetResponseTime', 'p50'), entry('TargetResponseTime', 'p95')]),
      this.#graph('Processor of the databases, percent', databases('CPUUtilization')),
      this.#graph('Lag of replication, bytes', databases('OldestReplicationSlotLag')),
      this.#graph('Free storage, bytes', databases('FreeStorageSpace')),
    ];
    // Two per row: a dashboard has 24 columns.
    return { widgets: widgets.map((widget, i) => ({ ...widget, x: (i % 2) * 12, y: Math.floor(i / 2) * 6 })) };
  }

  #graph = (title: string, metrics: Metric[]) => ({
    type: 'metric',
    width: 12,
    height: 6,
    properties: { title, metrics, region: this.place.settings.region, period: 60, view: 'timeSeries' },
  });
}
