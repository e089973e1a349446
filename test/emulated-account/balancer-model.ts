import {
  DescribeListenersCommand,
  DescribeLoadBalancersCommand,
  DescribeRulesCommand,
  DescribeTargetGroupAttributesCommand,
  DescribeTargetGroupsCommand,
  TargetGroupNotFoundException,
  type Action as AwsAction,
  type ElasticLoadBalancingV2Client,
  type Listener as AwsListener,
  type Rule as AwsRule,
  type RuleCondition,
  type TargetGroup,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { inOrder, type Action, type Condition, type Rule } from './rules.ts';

export interface Listener {
  arn: string;
  balancerArn: string;
  port: number;
  protocol: string;
  rules: Rule[];
}

export interface Group {
  arn: string;
  type: string;
  protocol: string;
  port: number | undefined;
  drainMs: number;
  health: {
    enabled: boolean;
    path: string;
    port: number | undefined;
    intervalMs: number;
    timeoutMs: number;
    good: number;
    bad: number;
    matcher: string;
  };
}

/** Configuration of the account's balancers. */
export interface Model {
  listeners: Listener[];
  groups: Map<string, Group>;
}

/**
 * `app/name/0123456789abcdef` for a balancer, `targetgroup/...` for a group: their values in the dimensions of metrics.
 */
export const suffixOf = (arn: string): string =>
  arn
    .split(':')
    .slice(5)
    .join(':')
    .replace(/^loadbalancer\//, '');

/** The answer about a target group. Undefined if the group was deleted meanwhile. */
export const unlessGone = <T>(asking: Promise<T>): Promise<T | undefined> =>
  asking.catch((error: unknown) => {
    if (error instanceof TargetGroupNotFoundException) return undefined;
    throw error;
  });

/** Reads the whole configuration from moto. */
export async function readModel(client: ElasticLoadBalancingV2Client): Promise<Model> {
  const [{ LoadBalancers = [] }, { TargetGroups = [] }] = await Promise.all([
    client.send(new DescribeLoadBalancersCommand({})),
    client.send(new DescribeTargetGroupsCommand({})),
  ]);
  const [listeners, groups] = await Promise.all([
    Promise.all(
      LoadBalancers.filter(({ Type }) => Type === 'application').map(({ LoadBalancerArn }) =>
        client.send(new DescribeListenersCommand({ LoadBalancerArn })),
      ),
    ),
    Promise.all(TargetGroups.map((group) => unlessGone(readGroup(client, group)))),
  ]);
  const all = listeners.flatMap(({ Listeners = [] }) => Listeners);
  return {
    listeners: await Promise.all(all.map((listener) => readListener(client, listener))),
    groups: new Map(groups.flatMap((group) => (group === undefined ? [] : [[group.arn, group]]))),
  };
}

/** The same model with the rules read again. */
export async function readRules(client: ElasticLoadBalancingV2Client, model: Model): Promise<Model> {
  const fresh = async (listener: Listener) => ({ ...listener, rules: await rulesOf(client, listener.arn) });
  return { ...model, listeners: await Promise.all(model.listeners.map(fresh)) };
}

async function readListener(client: ElasticLoadBalancingV2Client, listener: AwsListener): Promise<Listener> {
  const {
    ListenerArn: arn = '',
    LoadBalancerArn: balancerArn = '',
    Port: port = 0,
    Protocol: protocol = '',
  } = listener;
  const rules = (await rulesOf(client, arn)).filter(({ priority }) => priority !== undefined);
  const standard = {
    arn: `${arn}/default`,
    priority: undefined,
    conditions: [],
    action: action(listener.DefaultActions ?? []),
  };
  return { arn, balancerArn, port, protocol, rules: [...rules, standard] };
}

async function rulesOf(client: ElasticLoadBalancingV2Client, ListenerArn: string): Promise<Rule[]> {
  const rules: AwsRule[] = [];
  let Marker: string | undefined;
  do {
    const page = await client.send(new DescribeRulesCommand({ ListenerArn, ...(Marker ? { Marker } : {}) }));
    rules.push(...(page.Rules ?? []));
    Marker = page.NextMarker;
  } while (Marker);
  return inOrder(rules.map(rule));
}

const rule = ({ RuleArn = '', Priority, IsDefault, Conditions = [], Actions = [] }: AwsRule): Rule => ({
  arn: RuleArn,
  priority: IsDefault === true || Priority === 'default' ? undefined : Number(Priority),
  conditions: Conditions.map(condition),
  action: action(Actions),
});

function condition(of: RuleCondition): Condition {
  const values = of.Values ?? [];
  switch (of.Field) {
    case 'path-pattern':
      return { field: of.Field, values: of.PathPatternConfig?.Values ?? values };
    case 'host-header':
      return { field: of.Field, values: of.HostHeaderConfig?.Values ?? values };
    case 'http-request-method':
      return { field: of.Field, values: of.HttpRequestMethodConfig?.Values ?? values };
    case 'http-header': {
      const { HttpHeaderName: name = '', Values = [] } = of.HttpHeaderConfig ?? {};
      return { field: of.Field, name, values: Values };
    }
    default:
      throw new Error(`the condition ${of.Field} is not emulated`);
  }
}

function action(actions: AwsAction[]): Action {
  // Other actions authenticate; the last one answers.
  const last = [...actions].sort((a, b) => (a.Order ?? 0) - (b.Order ?? 0)).at(-1);
  switch (last?.Type) {
    case 'forward': {
      const { TargetGroups = [], TargetGroupStickinessConfig: sticky } = last.ForwardConfig ?? {};
      const groups = TargetGroups.map(({ TargetGroupArn = '', Weight = 1 }) => ({
        arn: TargetGroupArn,
        weight: Weight,
      }));
      if (groups.length === 0 && last.TargetGroupArn) groups.push({ arn: last.TargetGroupArn, weight: 1 });
      // Also accepts text.
      const on = String(sticky?.Enabled) === 'true';
      return { type: 'forward', groups, ...(on ? { stickySeconds: Number(sticky?.DurationSeconds) } : {}) };
    }
    case 'fixed-response': {
      const { StatusCode = '503', ContentType = 'text/plain', MessageBody = '' } = last.FixedResponseConfig ?? {};
      return { type: 'fixed-response', status: Number(StatusCode), contentType: ContentType, body: MessageBody };
    }
    case 'redirect': {
      const { Protocol, Host, Port, Path, Query, StatusCode } = last.RedirectConfig ?? {};
      return {
        type: 'redirect',
        status: StatusCode === 'HTTP_301' ? 301 : 302,
        protocol: Protocol ?? '#{protocol}',
        host: Host ?? '#{host}',
        port: Port ?? '#{port}',
        path: Path ?? '/#{path}',
        query: Query ?? '#{query}',
      };
    }
    default:
      throw new Error(`the action ${last?.Type ?? '(none)'} is not emulated`);
  }
}

async function readGroup(client: ElasticLoadBalancingV2Client, group: TargetGroup): Promise<Group> {
  const { TargetGroupArn = '', TargetType = 'instance', HealthCheckPort } = group;
  const { Attributes = [] } = await client.send(new DescribeTargetGroupAttributesCommand({ TargetGroupArn }));
  const delay = Attributes.find(({ Key }) => Key === 'deregistration_delay.timeout_seconds')?.Value ?? '300';
  return {
    arn: TargetGroupArn,
    type: TargetType,
    protocol: group.Protocol ?? 'HTTP',
    port: group.Port,
    drainMs: Number(delay) * 1000,
    health: {
      enabled: group.HealthCheckEnabled ?? TargetType !== 'lambda',
      path: group.HealthCheckPath ?? '/',
      port: HealthCheckPort === undefined || HealthCheckPort === 'traffic-port' ? undefined : Number(HealthCheckPort),
      intervalMs: (group.HealthCheckIntervalSeconds ?? 30) * 1000,
      timeoutMs: (group.HealthCheckTimeoutSeconds ?? 5) * 1000,
      good: group.HealthyThresholdCount ?? 5,
      bad: group.UnhealthyThresholdCount ?? 2,
      matcher: group.Matcher?.HttpCode ?? '200',
    },
  };
}
