import { CreateSubnetCommand, CreateVpcCommand } from '@aws-sdk/client-ec2';
import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateRuleCommand,
  CreateTargetGroupCommand,
  DescribeRulesCommand,
  DescribeTagsCommand,
  RegisterTargetsCommand,
  SetRulePrioritiesCommand,
  type Rule,
  type RuleCondition,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import {
  fenceVariables,
  headerRules,
  ruleTag,
  stickySeconds,
  trafficRules,
  type Condition,
  type PlannedRule,
} from '../../../../infra/aws/lib/routing-plan.ts';
import type { Clients } from '../../../../infra/aws/runtime/client/clients.ts';
import type { ProbeAnswer } from '../../../../infra/aws/runtime/router/probe.ts';
import { targetsOf } from '../../../../infra/aws/runtime/router/rules.ts';
import { colours, type Colour, type EnvironmentSpec, type Split } from '../../../../infra/model.ts';
import { decide, type Request } from '../../../lib/balancer-rules.ts';

export const routeSecret = 'abc123';

// No types: it is what AWS runs, as it stands.
const fenceSource: string = '../../../../infra/aws/stacks/network/fence/index.mjs';

export interface TestListener {
  listenerArn: string;
  balancerSuffix: string;
  groups: Record<Colour, Record<string, string>>;
  /** What a client would be answered, by the rules as they are now: the model of the balancer in `test/unit/aws`. */
  probe: (request: Request) => Promise<ProbeAnswer>;
  rules(): Promise<Rule[]>;
  /** Lets time pass for the function of the fence. */
  later(ms: number): void;
}

/** What makes it a listener that answers, in an account whose balancers run. */
export interface RealListener {
  port: number;
  certificateArn: string;
  /** Address of a service's target. */
  target: (colour: Colour, service: string) => { Id: string; Port: number };
  fenceArn: (listenerArn: string) => Promise<string>;
}

/** A listener as the stacks would declare it. `split` undefined: before the first go-live. */
export async function makeListener(
  clients: Clients,
  spec: EnvironmentSpec,
  split?: Split,
  real?: RealListener,
): Promise<TestListener> {
  const { balancer, network } = clients;
  const { Vpc } = await network.send(new CreateVpcCommand({ CidrBlock: '10.9.0.0/16' }));
  const subnet = (CidrBlock: string, AvailabilityZone: string) =>
    network.send(new CreateSubnetCommand({ VpcId: Vpc?.VpcId, CidrBlock, AvailabilityZone }));
  const subnets = [await subnet('10.9.0.0/24', 'eu-central-1a'), await subnet('10.9.1.0/24', 'eu-central-1b')];
  const Name = `entry-${Math.random().toString(36).slice(2, 10)}`;
  const Subnets = subnets.map(({ Subnet }) => Subnet?.SubnetId ?? '');
  const { LoadBalancers = [] } = await balancer.send(new CreateLoadBalancerCommand({ Name, Subnets }));
  const LoadBalancerArn = LoadBalancers[0]?.LoadBalancerArn ?? '';
  const nowhere = { Type: 'fixed-response', FixedResponseConfig: { StatusCode: '503' } } as const;
  const https = real && {
    Port: real.port,
    Protocol: 'HTTPS' as const,
    Certificates: [{ CertificateArn: real.certificateArn }],
  };
  const how = https ?? { Port: 80, Protocol: 'HTTP' as const };
  const { Listeners = [] } = await balancer.send(
    new CreateListenerCommand({ LoadBalancerArn, ...how, DefaultActions: [nowhere] }),
  );
  const listenerArn = Listeners[0]?.ListenerArn ?? '';

  const group = async (name: string, tags: Record<string, string>, target: object) => {
    const Tags = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
    const { TargetGroups = [] } = await balancer.send(
      new CreateTargetGroupCommand({ Name: `${name}-${Name.slice(6)}`, ...target, Tags }),
    );
    return TargetGroups[0]?.TargetGroupArn ?? '';
  };
  const groups: TestListener['groups'] = { blue: {}, green: {} };
  for (const colour of colours)
    for (const service of spec.services) {
      const health = {
        HealthCheckPath: service.health,
        HealthCheckIntervalSeconds: 5,
        HealthyThresholdCount: 2,
        UnhealthyThresholdCount: 2,
      };
      const target = { TargetType: 'ip', Protocol: 'HTTP', Port: 3000, VpcId: Vpc?.VpcId, ...health } as const;
      const arn = await group(`${colour}-${service.name}`, { colour, service: service.name }, target);
      const made = [11, 9].map((host) => ({ Id: `10.9.0.${host}`, Port: 3000 }));
      const Targets = real === undefined ? made : [real.target(colour, service.name)];
      await balancer.send(new RegisterTargetsCommand({ TargetGroupArn: arn, Targets }));
      groups[colour][service.name] = arn;
    }
  const fenceGroup = await group('fence', {}, { TargetType: 'lambda' });
  if (real !== undefined) {
    const Targets = [{ Id: await real.fenceArn(listenerArn) }];
    await balancer.send(new RegisterTargetsCommand({ TargetGroupArn: fenceGroup, Targets }));
  }

  const action = ({ to }: PlannedRule) => {
    if (to.kind === 'none') return { ...nowhere, FixedResponseConfig: { StatusCode: '404' } };
    const weights =
      to.kind === 'fence'
        ? [{ TargetGroupArn: fenceGroup, Weight: 1 }]
        : Object.entries(to.weights).map(([colour, Weight]) => ({
            TargetGroupArn: groups[colour as Colour][to.service],
            Weight,
          }));
    const TargetGroupStickinessConfig = { Enabled: weights.length > 1, DurationSeconds: stickySeconds };
    return { Type: 'forward', ForwardConfig: { TargetGroups: weights, TargetGroupStickinessConfig } } as const;
  };
  const planned = [
    ...colours.flatMap((colour) => headerRules(spec, colour, routeSecret)),
    ...(split === undefined ? [] : trafficRules(spec, split)),
  ];
  for (const rule of planned)
    await balancer.send(
      new CreateRuleCommand({
        ListenerArn: listenerArn,
        Priority: rule.priority,
        Conditions: rule.conditions.map(condition),
        Actions: [action(rule)],
        Tags: [{ Key: 'Name', Value: ruleTag(rule.name) }],
      }),
    );

  const rules = async () => (await balancer.send(new DescribeRulesCommand({ ListenerArn: listenerArn }))).Rules ?? [];
  let ahead = 0;
  const fence = await fenceOf(clients, listenerArn, () => Date.now() + ahead);
  const probe: TestListener['probe'] = async (request) => {
    const to = decide((await rules()).filter(({ IsDefault }) => IsDefault !== true).map(asPlanned), request);
    if (to === undefined) return { status: 503 };
    if (to.kind === 'none') return { status: 404 };
    const { arns } = to as unknown as { arns: { arn: string; weight: number }[] };
    if (arns.some(({ arn }) => arn === fenceGroup)) {
      const { statusCode, headers } = await fence();
      return { status: statusCode, fence: headers['x-greenlight-fence'] };
    }
    const chosen = pick(arns);
    return { status: 200, colour: colours.find((colour) => Object.values(groups[colour]).includes(chosen)) };
  };
  const balancerSuffix = LoadBalancerArn.split(':loadbalancer/')[1] ?? '';
  return { listenerArn, balancerSuffix, groups, probe, rules, later: (ms) => void (ahead += ms) };
}

/** The function that AWS would run. */
async function fenceOf({ balancer }: Clients, listenerArn: string, now: () => number) {
  const { fence, settingsOf } = (await import(fenceSource)) as {
    settingsOf: (variables: object) => object;
    fence: (options: object) => () => Promise<{ statusCode: number; headers: Record<string, string> }>;
  };
  const settings = settingsOf(fenceVariables(listenerArn));
  const calls = {
    rules: async (ListenerArn: string) => (await balancer.send(new DescribeRulesCommand({ ListenerArn }))).Rules ?? [],
    tags: async (ResourceArns: string[]) =>
      (await balancer.send(new DescribeTagsCommand({ ResourceArns }))).TagDescriptions ?? [],
    setPriorities: (RulePriorities: []) => balancer.send(new SetRulePrioritiesCommand({ RulePriorities })),
  };
  return fence({ settings, balancer: () => Promise.resolve(calls), now, log: () => undefined });
}

function condition(planned: Condition): RuleCondition {
  const Values = planned.values as string[];
  switch (planned.kind) {
    case 'path':
      return { Field: 'path-pattern', PathPatternConfig: { Values } };
    case 'method':
      return { Field: 'http-request-method', HttpRequestMethodConfig: { Values } };
    case 'header':
      return { Field: 'http-header', HttpHeaderConfig: { HttpHeaderName: planned.name, Values } };
  }
}

/** A rule of moto in the terms of the model, with ARNs instead of colours. */
function asPlanned({ Priority, Conditions = [], ...rule }: Rule): PlannedRule {
  const conditions = Conditions.map(
    ({ Field, PathPatternConfig, HttpRequestMethodConfig, HttpHeaderConfig }): Condition => {
      if (Field === 'path-pattern') return { kind: 'path', values: PathPatternConfig?.Values ?? [] };
      if (Field === 'http-request-method') return { kind: 'method', values: HttpRequestMethodConfig?.Values ?? [] };
      return { kind: 'header', name: HttpHeaderConfig?.HttpHeaderName ?? '', values: HttpHeaderConfig?.Values ?? [] };
    },
  );
  const arns = targetsOf(rule);
  const to = arns.length === 0 ? { kind: 'none' } : { kind: 'colours', service: '', weights: {}, arns };
  return { name: '', priority: Number(Priority), conditions, to: to as PlannedRule['to'] };
}

function pick(arns: { arn: string; weight: number }[]): string {
  let left = Math.random() * arns.reduce((sum, { weight }) => sum + weight, 0);
  return (arns.find(({ weight }) => (left -= weight) < 0) ?? arns[0])?.arn ?? '';
}
