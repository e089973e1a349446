import { CreateClusterCommand, CreateServiceCommand, RegisterTaskDefinitionCommand } from '@aws-sdk/client-ecs';
import { CreateDBInstanceCommand } from '@aws-sdk/client-rds';
import { expect } from 'chai';
import { createAwsInstances } from '../../../../../../infra/aws/runtime/instances/instances.ts';
import { createTargetGroups } from '../../../../../../infra/aws/runtime/router/target-groups.ts';
import type { OperationError } from '../../../../../../infra/lib/errors.ts';
import type { Instances } from '../../../../../../infra/platform/instances.ts';
import type { Answer, Hook } from '../../../../../emulated-account/hooks.ts';
import { startGateway, type Gateway } from '../../../../../emulated-account/gateway.ts';
import { startMoto, type Moto } from '../../../../../emulated-account/moto.ts';
import { createClients, type Clients } from '../../../../../../infra/aws/runtime/client/clients.ts';
import { spec as specOf } from '../../../../../lib/declared.ts';
import { makeListener } from '../../listener.ts';

const credentials = { accessKeyId: 'AKIAEMULATED', secretAccessKey: 'emulated' };
const spec = specOf('staging');

interface FakeTask {
  taskArn: string;
  createdAt: number;
  lastStatus: string;
  desiredStatus: string;
}

describe('the instances of AWS', function () {
  this.timeout(120_000);
  let moto: Moto;
  let gateway: Gateway;
  let clients: Clients;
  let instances: Instances;
  /** Of the one service that there is: moto's services have no tasks by themselves. */
  let tasks: FakeTask[] = [];

  const json = (value: object): Promise<Answer> =>
    Promise.resolve({
      status: 200,
      headers: { 'content-type': 'application/x-amz-json-1.1' },
      body: Buffer.from(JSON.stringify(value)),
    });
  const task = (name: string, createdAt: number, lastStatus = 'RUNNING'): FakeTask => ({
    taskArn: `arn:task/${name}`,
    createdAt,
    lastStatus,
    desiredStatus: 'RUNNING',
  });
  const hooks: Hook[] = [
    { service: 'ecs', actions: ['ListTasks'], before: () => json({ taskArns: tasks.map(({ taskArn }) => taskArn) }) },
    { service: 'ecs', actions: ['DescribeTasks'], before: () => json({ tasks }) },
    {
      service: 'ecs',
      actions: ['StopTask'],
      before: ({ input }) => {
        for (const one of tasks) if (one.taskArn === input['task']) Object.assign(one, { desiredStatus: 'STOPPED' });
        return json({});
      },
    },
  ];

  before(async () => {
    moto = await startMoto();
    gateway = await startGateway({ moto: moto.endpoint, hooks });
    clients = createClients({ region: 'eu-central-1', endpoint: gateway.endpoint, credentials });
    const listener = await makeListener(clients, spec, { live: 'blue', percent: 0 });
    const { containers, databases } = clients;
    await containers.send(new CreateClusterCommand({ clusterName: 'staging' }));
    await containers.send(
      new RegisterTaskDefinitionCommand({
        family: 'api',
        containerDefinitions: [{ name: 'api', image: 'x', memory: 1 }],
      }),
    );
    const targetGroupArn = listener.groups.blue['api'];
    await containers.send(
      new CreateServiceCommand({
        cluster: 'staging',
        serviceName: 'api-1',
        taskDefinition: 'api',
        desiredCount: 2,
        loadBalancers: [{ targetGroupArn, containerName: 'api', containerPort: 1 }],
      }),
    );
    await databases.send(
      new CreateDBInstanceCommand({
        DBInstanceIdentifier: 'coins-staging-blue',
        DBInstanceClass: 'db.m5.large',
        Engine: 'postgres',
        AllocatedStorage: 20,
        MasterUsername: 'x',
        MasterUserPassword: 'xxxxxxxx',
      }),
    );
    const groups = createTargetGroups(clients.balancer);
    instances = createAwsInstances({
      clients,
      foundation: { cluster: { name: 'staging', arn: 'staging' }, listenerArn: listener.listenerArn },
      spec,
      targetGroups: async () => groups.of(await listener.rules()),
      startMs: 500,
      pollMs: 20,
    });
  });
  after(async () => {
    for (const client of Object.values(clients) as { destroy(): void }[]) client.destroy();
    await gateway.close();
    await moto.close();
  });
  beforeEach(() => {
    tasks = [task('b', 1000), task('a', 2000)];
  });

  const states = async () => (await instances.list()).map(({ id, state }) => `${id} ${state}`);
  const failure = (promise: Promise<unknown>): Promise<OperationError> =>
    promise.then(
      () => expect.fail('it succeeded'),
      (error: unknown) => error as OperationError,
    );

  it('are tasks by age, databases, and the load balancer', async () => {
    tasks.push(task('c', 3000, 'PENDING'));
    const all = [
      'api.blue.1 running',
      'api.blue.2 running',
      'api.blue.3 starting',
      'database.blue running',
      'balancer running',
    ];
    // Moto calls a new balancer one that is still being made.
    expect((await states()).map((text) => text.replace('balancer starting', 'balancer running'))).to.deep.equal(all);
  });

  it('are stopped by name, and replaced under the same one', async () => {
    await instances.stop('api.blue.1');
    expect(tasks[0]).to.include({ taskArn: 'arn:task/b', desiredStatus: 'STOPPED' });
    expect((await states()).filter((text) => text.startsWith('api'))).to.deep.equal(['api.blue.2 running']);
    const failed = await failure(instances.start('api.blue.1'));
    expect(failed.found).to.contain('1 of 2 tasks run');
    tasks.push(task('c', 3000));
    await instances.start('api.blue.1');
    expect((await states()).filter((text) => text.startsWith('api'))).to.deep.equal([
      'api.blue.1 running',
      'api.blue.2 running',
    ]);
  });

  it('that are not there are named', async () => {
    expect((await failure(instances.stop('api.blue.9'))).todo).to.contain('api.blue.1, api.blue.2');
    expect((await failure(instances.start('api.green.1'))).found).to.contain('no service of that name');
  });

  it('are asked for again where ECS has trouble', async () => {
    const fault = gateway.faults.add({ kind: 'internal', service: 'ecs', times: 3 });
    await instances.list();
    expect(fault.struck).to.equal(3);
  });
});
