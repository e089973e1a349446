import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { PutMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import { CreateClusterCommand, CreateServiceCommand, RegisterTaskDefinitionCommand } from '@aws-sdk/client-ecs';
import { CreateDBInstanceCommand } from '@aws-sdk/client-rds';
import { expect } from 'chai';
import { createAwsMetrics, type AwsMetricsOptions } from '../../../../../../infra/aws/runtime/metrics/metrics.ts';
import { createTargetGroups } from '../../../../../../infra/aws/runtime/router/target-groups.ts';
import { OperationError } from '../../../../../../infra/lib/errors.ts';
import type { Metrics } from '../../../../../../infra/platform/metrics.ts';
import { openEntry, type Entry } from '../../entry.ts';
import { userAgent } from '../../../../../../infra/lib/user-agent.ts';

const periodMs = 1_000;

describe('the metrics of AWS', function () {
  this.timeout(120_000);
  let entry: Entry;
  let agent: Agent;
  before(async () => {
    entry = await openEntry({ live: 'blue', percent: 0 }, { metricsMs: periodMs });
    agent = new Agent({ ca: await readFile(entry.caFile), keepAlive: true, maxSockets: 20 });
  });
  after(async () => {
    agent.destroy();
    const errors = entry.account.errors();
    await entry.close();
    expect(errors).to.deep.equal([]);
  });
  afterEach(() => entry.account.faults.clear());

  const make = (more: Partial<AwsMetricsOptions> = {}): Metrics => {
    const { clients, spec, listener } = entry;
    const groups = createTargetGroups(clients.balancer);
    return createAwsMetrics({
      clients,
      foundation: { balancerSuffix: listener.balancerSuffix, cluster: { name: 'staging', arn: 'staging' }, spec },
      targetGroups: async () => groups.of(await listener.rules()),
      periodSeconds: periodMs / 1000,
      delayMs: 0,
      ...more,
    });
  };
  const down = (time: number) => Math.floor(time / periodMs) * periodMs;

  const get = (path: string, headers: Record<string, string> = {}): Promise<void> =>
    new Promise((resolve, reject) => {
      const asked = request(
        new URL(path, entry.baseUrl),
        { agent, headers: { ...userAgent, ...headers } },
        (answer) => {
          answer.resume();
          answer.once('end', resolve);
        },
      );
      asked.on('error', reject);
      asked.end();
    });
  /** Requests of which all are told. */
  const during = async (work: () => Promise<unknown>): Promise<{ from: number; to: number }> => {
    const from = down(Date.now());
    await work();
    const to = down(Date.now()) + periodMs;
    await sleep(to - Date.now() + 700);
    return { from, to };
  };

  it('counts requests and errors of each colour, in whole periods', async () => {
    const green = { 'x-greenlight-colour': 'green', 'x-greenlight-secret': 'abc123' };
    const { from, to } = await during(async () => {
      await Promise.all(Array.from({ length: 40 }, () => get('/api/x')));
      await Promise.all(Array.from({ length: 10 }, () => get('/')));
      await Promise.all(Array.from({ length: 7 }, () => get('/api/x', green)));
      entry.behaviour.blue.status = 500;
      await Promise.all(Array.from({ length: 5 }, () => get('/api/x')));
      entry.behaviour.blue.status = 200;
    });
    const window = await make().window(from - 200, to + 200);
    expect([window.from, window.to]).to.deep.equal([from, to]);
    const { blue, green: other } = window.colours;
    expect(blue).to.include({ requests: 55, errors: 5, writes: 0, splitReads: 0 });
    expect(other).to.include({ requests: 7, errors: 0 });
    expect([blue.latenciesMs.length, other.latenciesMs.length]).to.deep.equal([55, 7]);
    expect(window.newestAt).to.equal(to);
  });

  it('spreads latencies as the quantiles say', async () => {
    const { from, to } = await during(async () => {
      await Promise.all(Array.from({ length: 90 }, () => get('/')));
      entry.behaviour.blue.ms = 300;
      await Promise.all(Array.from({ length: 10 }, () => get('/api/x')));
      entry.behaviour.blue.ms = 0;
    });
    const { latenciesMs } = (await make().window(from, to)).colours.blue;
    expect(latenciesMs).to.have.length(100);
    expect(latenciesMs.filter((ms) => ms >= 290)).to.have.length.within(9, 12);
    expect(Math.max(...latenciesMs)).to.be.within(290, 1000);
  });

  it('says how old what it knows is, and nothing of what is missing', async () => {
    const { to } = await during(() => get('/'));
    await sleep(3 * periodMs);
    const stale = await make().window(to - periodMs, to + 2 * periodMs);
    expect(stale.newestAt).to.equal(to);
    const silent = await make().window(to, to + 2 * periodMs);
    expect(silent.newestAt).to.equal(undefined);
    expect(silent.colours.blue).to.include({ requests: 0, errors: 0 });
  });

  it('covers nothing where no period is whole', async () => {
    const from = down(Date.now()) + 1;
    const window = await make().window(from, from + periodMs - 2);
    expect(window.from).to.equal(window.to);
    expect(window.newestAt).to.equal(undefined);
  });

  it('repeats what was throttled, and says what AWS answered where that does not end', async () => {
    const to = down(Date.now());
    const fault = entry.account.faults.add({ kind: 'throttling', service: 'monitoring', times: 2 });
    await make().window(to - periodMs, to);
    expect(fault.struck).to.equal(2);
    entry.account.faults.add({ kind: 'expired-token', service: 'monitoring' });
    const error = await make()
      .window(to - periodMs, to)
      .then(
        () => undefined,
        (reason: unknown) => reason,
      );
    expect(error).to.be.instanceOf(OperationError);
    expect((error as OperationError).todo).to.contain('aws sso login');
  });

  it('tells the processor time of services and databases since it was first asked', async () => {
    const { clients, listener } = entry;
    await clients.containers.send(new CreateClusterCommand({ clusterName: 'staging' }));
    await clients.containers.send(
      new RegisterTaskDefinitionCommand({
        family: 'api',
        containerDefinitions: [{ name: 'api', image: 'x', memory: 1 }],
      }),
    );
    const targetGroupArn = listener.groups.blue['api'];
    await clients.containers.send(
      new CreateServiceCommand({
        cluster: 'staging',
        serviceName: 'api-1',
        taskDefinition: 'api',
        desiredCount: 2,
        loadBalancers: [{ targetGroupArn, containerName: 'api', containerPort: 1 }],
      }),
    );
    await clients.databases.send(
      new CreateDBInstanceCommand({
        DBInstanceIdentifier: 'coins-staging-blue',
        DBInstanceClass: 'db.m5.large',
        Engine: 'postgres',
        AllocatedStorage: 20,
        MasterUsername: 'x',
        MasterUserPassword: 'xxxxxxxx',
      }),
    );
    const metrics = make({ delayMs: 2_000 });
    expect(await metrics.cpuSeconds()).to.deep.equal({});
    const Timestamp = new Date(down(Date.now()));
    const put = (Namespace: string, MetricName: string, Value: number, dimensions: Record<string, string>) =>
      clients.metrics.send(
        new PutMetricDataCommand({
          Namespace,
          MetricData: [
            {
              MetricName,
              Value,
              Timestamp,
              Dimensions: Object.entries(dimensions).map(([Name, of]) => ({ Name, Value: of })),
            },
          ],
        }),
      );
    const ofService = { ClusterName: 'staging', ServiceName: 'api-1' };
    await put('ECS/ContainerInsights', 'CpuUtilized', 256, ofService);
    await put('ECS/ContainerInsights', 'RunningTaskCount', 2, ofService);
    await put('AWS/RDS', 'CPUUtilization', 25, { DBInstanceIdentifier: 'coins-staging-blue' });
    // 256 of 1024 units in two tasks, and a quarter of two vCPUs, for a second.
    expect(await metrics.cpuSeconds()).to.deep.equal({ 'api.blue': 0.5, 'database.blue': 0.5 });
  });
});
