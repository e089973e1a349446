import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  DescribeServicesCommand,
  ListClustersCommand,
  ListServicesCommand,
  UpdateServiceCommand,
  type Service,
} from '@aws-sdk/client-ecs';
import {
  AddTagsCommand,
  DescribeListenersCommand,
  DescribeLoadBalancersCommand,
  DescribeRulesCommand,
  DescribeTagsCommand,
  DescribeTargetGroupsCommand,
  ModifyRuleCommand,
  RemoveTagsCommand,
  SetRulePrioritiesCommand,
  type Rule,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { DescribeDBInstancesCommand, ModifyDBInstanceCommand } from '@aws-sdk/client-rds';
import { expect } from 'chai';
import { createEngine, type Engine } from '../../../../../automation/stacks/engine.ts';
import { createClients, type Clients } from '../../../../../infra/aws/runtime/client/clients.ts';
import { volatileProperties } from '../../../../../infra/aws/runtime/engine/engine-settings.ts';
import { cureOf } from '../../../../../infra/aws/runtime/client/errors.ts';
import { knownId } from '../../../../../infra/aws/runtime/engine/resource-ids.ts';
import { leaseTag } from '../../../../../infra/aws/lib/routing-plan.ts';
import type { AwsSettings } from '../../../../../infra/aws/lib/settings.ts';
import type { FoundationOutputs } from '../../../../../infra/aws/lib/foundation-reference.ts';
import { localEngineSettings } from '../../../../../infra/local/runtime/engine-settings.ts';
import type { Split, StackKind } from '../../../../../infra/model.ts';
import type { Platform } from '../../../../../infra/platform/platform.ts';
import { accountId, startMoto, type Moto } from '../../../../emulated-account/moto.ts';
import { createHostedZone } from '../../../../emulated-account/plugins/hosted-zone.ts';
import { table } from '../../../../emulated-account/plugins/aws/table.ts';
import type { Context, Handler } from '../../../../emulated-account/plugins/handler.ts';
import { pluginEnvironment } from '../../../../emulated-account/plugins/environment.ts';
import { colourSpec, settings as plain, spec } from '../../../../lib/declared.ts';
import { moveHome } from '../../../../lib/own-home.ts';

const environment = 'staging';
const { region } = plain;

/** The real engine applies the real programs; moto is the account, and nothing runs behind it. */
describe('programs of AWS, by the real engine', function () {
  this.timeout(240_000);

  let folder: string;
  let moveBack: () => void;
  let moto: Moto;
  let clients: Clients;
  let engine: Engine;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'greenlight-aws-programs-'));
    moveBack = moveHome(folder);
    moto = await startMoto();
    const credentials = { accessKeyId: 'AKIAEMULATED', secretAccessKey: 'emulated' };
    clients = createClients({ region, endpoint: moto.endpoint, credentials });
    engine = createEngine(await platformOn(moto, clients));
  });

  after(async () => {
    await moto?.close();
    await rm(folder, { recursive: true, force: true });
    moveBack();
  });

  const configs = (split: Split) => ({
    foundation: { environment, kind: 'foundation', spec: spec(environment) } as const,
    blue: { environment, kind: 'blue', colour: colourSpec('blue') } as const,
    green: { environment, kind: 'green', colour: colourSpec('green') } as const,
    traffic: { environment, kind: 'traffic', split } as const,
  });
  const up = (kind: StackKind, split: Split = { live: 'blue', percent: 0 }) => engine.up(configs(split)[kind]);

  const foundation = async (): Promise<FoundationOutputs> =>
    (await engine.outputs(environment, 'foundation'))['foundation'] as FoundationOutputs;

  /** The listener's rules by the names that their tags carry. */
  const rules = async (): Promise<Map<string, Rule>> => {
    const { listenerArn } = await foundation();
    const { Rules = [] } = await clients.balancer.send(new DescribeRulesCommand({ ListenerArn: listenerArn }));
    const own = Rules.filter(({ IsDefault }) => IsDefault !== true);
    const found = new Map<string, Rule>();
    for (const rule of own) {
      const asked = new DescribeTagsCommand({ ResourceArns: [rule.RuleArn as string] });
      const { TagDescriptions } = await clients.balancer.send(asked);
      found.set(TagDescriptions?.[0]?.Tags?.find(({ Key }) => Key === 'Name')?.Value ?? '', rule);
    }
    return found;
  };

  it('makes foundation, a colour and traffic, which are really there', async () => {
    for (const kind of ['foundation', 'blue', 'traffic'] as const) {
      const { changes } = await up(kind);
      expect(Object.keys(changes), `${kind}: ${JSON.stringify(changes)}`).to.deep.equal(['create']);
    }
    const { LoadBalancers } = await clients.balancer.send(new DescribeLoadBalancersCommand({}));
    expect(LoadBalancers).to.have.length(1);
    const asked = new DescribeListenersCommand({ LoadBalancerArn: LoadBalancers?.[0]?.LoadBalancerArn });
    const { Listeners } = await clients.balancer.send(asked);
    expect(Listeners?.map(({ Protocol }) => Protocol)).to.have.members(['HTTP', 'HTTPS']);
    const { DBInstances } = await clients.databases.send(new DescribeDBInstancesCommand({}));
    expect(DBInstances?.map(({ DBInstanceIdentifier }) => DBInstanceIdentifier)).to.deep.equal(['coins-staging-blue']);
    expect([...(await rules()).keys()]).to.include.members([
      'fence-0',
      'fence-rest',
      'blue-header-0',
      'writes-api/api',
      'reads-web/',
    ]);
    expect((await allServices()).map(({ status }) => status)).to.deep.equal(['ACTIVE', 'ACTIVE']);
  });

  it('changes nothing when it is applied again', async () => {
    for (const kind of ['foundation', 'blue', 'traffic'] as const) {
      const { changes } = await up(kind);
      expect(Object.keys(changes), `${kind}: ${JSON.stringify(changes)}`).to.deep.equal(['same']);
    }
  });

  it('finds no drift where there is none', async () => {
    for (const kind of ['foundation', 'blue', 'traffic'] as const)
      expect(await engine.refresh({ environment, kind }), kind).to.deep.equal([]);
  });

  const allServices = async () => {
    const { clusterArns = [] } = await clients.containers.send(new ListClustersCommand({}));
    const [cluster] = clusterArns;
    if (cluster === undefined) return [];
    const { serviceArns = [] } = await clients.containers.send(new ListServicesCommand({ cluster }));
    if (serviceArns.length === 0) return [];
    const found = await clients.containers.send(new DescribeServicesCommand({ cluster, services: serviceArns }));
    // Those that are deleted are remembered for a while, by ECS and by moto.
    return (found.services ?? []).filter(({ status }) => status !== 'INACTIVE');
  };

  it('learns again what a resource is of which only the name was recorded, when its making was cut off', async () => {
    const file = join(folder, 'state', '.pulumi', 'stacks', 'greenlight', `${environment}-blue.json`);
    const state = JSON.parse(await readFile(file, 'utf8')) as Checkpoint;
    const before = await engine.outputs(environment, 'blue');
    for (const resource of state.checkpoint.latest.resources)
      if (/:Instance$|:Service$|:Role$|:LogGroup$/.test(resource.type)) resource.outputs = { ...resource.inputs };
    await writeFile(file, JSON.stringify(state));
    await engine.refresh({ environment, kind: 'blue' });
    expect(Object.keys((await up('blue')).changes)).to.deep.equal(['same']);
    expect(await engine.outputs(environment, 'blue')).to.deep.equal(before);
  });

  it('puts another version on a colour in place: new task definitions, the same services and database', async () => {
    const artefact = { version: '2.0.1', digest: `sha256:${'cd'.repeat(32)}`, location: 'registry' };
    const request = { environment, kind: 'blue', colour: { colour: 'blue', artefact } } as const;
    const before = await allServices();
    const { changes } = await engine.up(request);
    expect(changes['replace'], JSON.stringify(changes)).to.equal(2);
    const after = await allServices();
    expect(after.map(({ serviceArn }) => serviceArn)).to.deep.equal(before.map(({ serviceArn }) => serviceArn));
    for (const { taskDefinition } of after) expect(taskDefinition).to.match(/:2$/);
    expect(Object.keys((await engine.up(request)).changes)).to.deep.equal(['same']);
  });

  const instanceOfBlue = async () => {
    const asked = new DescribeDBInstancesCommand({ DBInstanceIdentifier: 'coins-staging-blue' });
    return (await clients.databases.send(asked)).DBInstances?.[0];
  };
  const withDatabase = async (change: object) =>
    createEngine(await platformOn(moto, clients, { database: { ...plain.database, ...change } }));

  it('makes a colour again as it was, whatever the definition says by now; a release changes its database', async () => {
    const changed = await withDatabase({ instanceClass: 'db.m7g.xlarge', version: '17.7' });
    const recorded = await changed.config(environment, 'blue');
    expect(Object.keys((await changed.up({ environment, ...recorded })).changes)).to.deep.equal(['same']);
    expect(await instanceOfBlue()).to.include({ DBInstanceClass: 'db.m7g.large', EngineVersion: '17.6' });
    await changed.up(configs({ live: 'blue', percent: 0 }).blue);
    expect(await instanceOfBlue()).to.include({ DBInstanceClass: 'db.m7g.xlarge', EngineVersion: '17.7' });
    await up('blue');
  });

  it('refuses another major version of PostgreSQL, and says where it is written how', async () => {
    const next = await withDatabase({ version: '18.1' });
    const error: unknown = await next.up(configs({ live: 'blue', percent: 0 }).blue).catch((caught: unknown) => caught);
    expect(String(error)).to.match(/staging-blue-database: .*AllowMajorVersionUpgrade.*\n.*docs\/aws\.md/);
    expect((await instanceOfBlue())?.EngineVersion).to.equal('17.6');
    await up('blue');
  });

  it('changes the rules of reads, and no other, when reads are promoted', async () => {
    await up('green');
    const before = await rules();
    const { changes } = await up('traffic', { live: 'blue', percent: 10 });
    expect(changes['update']).to.equal(2);
    expect(changes).not.to.have.any.keys('create', 'delete', 'replace');
    const after = await rules();
    for (const [name, rule] of after)
      if (name.startsWith('reads-')) expect(weights(rule), name).to.deep.equal([90, 10]);
      else expect(rule, name).to.deep.equal(before.get(name));
  });

  it('finds a weight and a priority that somebody changed, and puts them right', async () => {
    const split: Split = { live: 'blue', percent: 10 };
    const found = await rules();
    const reads = found.get('reads-api/api') as Rule;
    const fence = found.get('fence-0') as Rule;
    const [first, second] = reads.Actions?.[0]?.ForwardConfig?.TargetGroups ?? [];
    const TargetGroups = [
      { ...first, Weight: 50 },
      { ...second, Weight: 50 },
    ];
    const Actions = [{ Type: 'forward' as const, ForwardConfig: { TargetGroups } }];
    await clients.balancer.send(new ModifyRuleCommand({ RuleArn: reads.RuleArn, Actions }));
    const RulePriorities = [{ RuleArn: fence.RuleArn, Priority: 1000 }];
    await clients.balancer.send(new SetRulePrioritiesCommand({ RulePriorities }));

    expect(await engine.refresh({ environment, kind: 'traffic' })).to.have.deep.members([
      { resource: 'staging-reads-api/api', what: 'changed: actions' },
      { resource: 'staging-fence-0', what: 'changed: priority' },
    ]);
    const { changes } = await up('traffic', split);
    expect(changes['update']).to.equal(2);
    const after = await rules();
    expect(weights(after.get('reads-api/api') as Rule)).to.deep.equal([90, 10]);
    expect(after.get('fence-0')?.Priority).to.equal(fence.Priority);
  });

  it('finds no drift in what changes by itself: tasks that scaled, storage that grew, the lease of a hold', async () => {
    const service = (await allServices())[0] as Service;
    const fence = [(await rules()).get('fence-0')?.RuleArn as string];
    const change = async (more: number) => {
      const { clusterArn: cluster, serviceArn, desiredCount = 0 } = service;
      const wanted = { cluster, service: serviceArn, desiredCount: desiredCount + more };
      await clients.containers.send(new UpdateServiceCommand(wanted));
      const grown = {
        DBInstanceIdentifier: 'coins-staging-blue',
        AllocatedStorage: 200 + more,
        ApplyImmediately: true,
      };
      await clients.databases.send(new ModifyDBInstanceCommand(grown));
      const Tags = [{ Key: leaseTag, Value: String(more) }];
      await clients.balancer.send(new AddTagsCommand({ ResourceArns: fence, Tags }));
    };
    const kinds = ['blue', 'traffic'] as const;
    const found = async (by: Engine) =>
      (await Promise.all(kinds.map((kind) => by.refresh({ environment, kind })))).flat().map(({ what }) => what);

    await change(1);
    const blind = await platformOn(moto, clients);
    const seeing = createEngine({ ...blind, engine: { ...blind.engine, volatile: {} } });
    expect(await found(seeing)).to.have.members([
      'changed: desiredCount',
      'changed: allocatedStorage',
      'changed: tags',
    ]);
    await change(2);
    expect(await found(engine)).to.deep.equal([]);

    // Nor is it undone.
    await up('blue');
    const now = (await allServices()).find(({ serviceArn }) => serviceArn === service.serviceArn);
    expect(now?.desiredCount).to.equal((service.desiredCount ?? 0) + 2);
    await clients.balancer.send(new RemoveTagsCommand({ ResourceArns: fence, TagKeys: [leaseTag] }));
    await engine.refresh({ environment, kind: 'traffic' });
  });

  it('agrees with a split that the run time applied first', async () => {
    const split: Split = { live: 'blue', percent: 50 };
    for (const [name, { RuleArn, Actions }] of await rules()) {
      if (!name.startsWith('reads-')) continue;
      for (const group of Actions?.[0]?.ForwardConfig?.TargetGroups ?? []) group.Weight = 50;
      await clients.balancer.send(new ModifyRuleCommand({ RuleArn, Actions }));
    }
    await up('traffic', split);
    expect(await engine.refresh({ environment, kind: 'traffic' })).to.deep.equal([]);
    expect(Object.keys((await up('traffic', split)).changes)).to.deep.equal(['same']);
  });

  it('refuses another account before it changes anything', async () => {
    const elsewhere = createEngine(await platformOn(moto, clients, { accountId: '999999999999' }));
    const production = { environment: 'production', kind: 'foundation', spec: spec('production') } as const;
    const error: unknown = await elsewhere.up(production).catch((caught: unknown) => caught);
    expect(String(error)).to.contain(`AWS account ID not allowed: ${accountId}`);
    const { LoadBalancers } = await clients.balancer.send(new DescribeLoadBalancersCommand({}));
    expect(LoadBalancers).to.have.length(1);
    expect(await elsewhere.exists('production', 'foundation')).to.equal(false);
  });

  it('leaves nothing when it is destroyed', async () => {
    for (const kind of ['traffic', 'green', 'blue', 'foundation'] as const) await engine.destroy({ environment, kind });
    const { LoadBalancers } = await clients.balancer.send(new DescribeLoadBalancersCommand({}));
    const { TargetGroups } = await clients.balancer.send(new DescribeTargetGroupsCommand({}));
    const { DBInstances } = await clients.databases.send(new DescribeDBInstancesCommand({}));
    expect({ LoadBalancers, TargetGroups, DBInstances, services: await allServices() }).to.deep.equal({
      LoadBalancers: [],
      TargetGroups: [],
      DBInstances: [],
      services: [],
    });
  });
});

interface Checkpoint {
  checkpoint: { latest: { resources: { type: string; inputs?: object; outputs?: object }[] } };
}

/** What plug-ins wait for, which a bare moto never becomes. */
describe('stand-in of the plug-in: an ECS service', () => {
  const inputs = { name: 'api', cluster: 'c', taskDefinition: 'api:2', waitForSteadyState: true };
  const service = table['aws:ecs/service:Service'] as Handler;

  const contextOf = (...states: object[]): Context => {
    const send = (command: object) => {
      const found = states.length > 1 ? states.shift() : states[0];
      return Promise.resolve(
        command instanceof DescribeServicesCommand ? { services: [found] } : { service: { serviceArn: 'arn' } },
      );
    };
    return { clients: { containers: { send } } } as unknown as Context;
  };
  const deployment = (taskDefinition: string, rolloutState: string) => ({
    status: 'PRIMARY',
    taskDefinition,
    rolloutState,
    rolloutStateReason: 'tasks failed to start',
  });
  const having = (runningCount: number, ...deployments: object[]) => ({ desiredCount: 2, runningCount, deployments });

  it('is ready when all of its tasks run, and nothing else does', async () => {
    const coming = having(1, deployment('api:2', 'IN_PROGRESS'));
    const both = having(2, deployment('api:2', 'COMPLETED'), deployment('api:1', 'IN_PROGRESS'));
    const there = having(2, deployment('api:2', 'COMPLETED'));
    const made = await service.create(inputs, contextOf({}, coming, both, there));
    expect(made).to.deep.equal({ id: 'arn', outputs: { arn: 'arn' } });
  });

  it('is recorded with the reason when its deployment failed', async () => {
    const failed = having(0, deployment('api:2', 'FAILED'));
    const { id, unready } = await service.create(inputs, contextOf(failed));
    expect({ id, unready }).to.deep.equal({ id: 'arn', unready: 'ECS deployment failed: tasks failed to start' });
  });

  it('is not ready when ECS went back to what ran before', async () => {
    const back = having(2, deployment('api:1', 'COMPLETED'));
    const { unready } = await service.create(inputs, contextOf(back));
    expect(unready).to.contain('ECS deployment failed');
  });
});

const weights = ({ Actions }: Rule): (number | undefined)[] | undefined =>
  Actions?.[0]?.ForwardConfig?.TargetGroups?.map(({ Weight }) => Weight);

/** The engine keeps its state in a file, as it is not what is tested here. */
async function platformOn({ endpoint }: Moto, clients: Clients, change: Partial<AwsSettings> = {}): Promise<Platform> {
  const hostedZoneId = await createHostedZone(clients.names, 'example.org');
  const settings = { ...plain, accountId, hostedZoneId, ...change };
  const local = localEngineSettings();
  const engine: Platform['engine'] = {
    ...local,
    plugins: [],
    stackConfig: () => ({ 'greenlight:aws': JSON.stringify(settings) }),
    cure: cureOf,
    idOf: (resource) => knownId(resource, { region, accountId }),
    volatile: volatileProperties,
    env: { ...local.env, ...pluginEnvironment({ endpoint, region, waits: false }) },
  };
  return { name: 'aws', engine } as Platform;
}
