import {
  CreateRuleCommand,
  CreateTargetGroupCommand,
  DeleteRuleCommand,
  DeleteTargetGroupCommand,
  DescribeTagsCommand,
  paginateDescribeTargetGroups,
  type Tag,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { greenlight } from '../../../lib/command.ts';
import { OperationError } from '../../../lib/errors.ts';
import type { ServiceSpec } from '../../../model.ts';
import { targetGroupCheck } from '../../../application/health.ts';
import { servicePort } from '../../lib/names.ts';
import { below } from '../../lib/routing-plan.ts';
import { calling, codeOf, isMissing } from '../client/errors.ts';
import { listenerRules } from '../router/target-groups.ts';
import type { Setting } from '../client/setting.ts';
import { fromTagList, isLeftOver } from '../client/temporary.ts';
import { until } from '../client/waiting.ts';

/** Routes to a preview: a target group per service, and rules that match requests with the preview's header. */

export const previewHeader = 'x-greenlight-preview';

/** After the header routes of the colours, before the write hold and all other rules. */
export const previewPriorities = { first: 300, last: 999 };

/** Most resources that one DescribeTags call takes. */
const perCall = 20;
const deleteMs = 60_000;

/** The lowest free priority for a preview. Throws an OperationError if there is none. */
export function freePriority(used: ReadonlySet<number>): number {
  for (let priority = previewPriorities.first; priority <= previewPriorities.last; priority++)
    if (!used.has(priority)) return priority;
  throw new OperationError(
    'creating the route of a preview',
    'all priorities are used',
    `delete the rules of old previews: ${greenlight('resume')}`,
  );
}

/** Creates a target group with the same health check as the colours' services. Resolves to its ARN. */
export async function createGroup(
  { clients, foundation }: Setting,
  name: string,
  service: ServiceSpec,
  Tags: Tag[],
): Promise<string> {
  const check = targetGroupCheck(service);
  const { TargetGroups } = await clients.balancer.send(
    new CreateTargetGroupCommand({
      Name: name,
      VpcId: foundation.network.vpcId,
      TargetType: 'ip',
      Port: servicePort,
      Protocol: 'HTTP',
      HealthCheckPath: check.path,
      HealthCheckIntervalSeconds: 5,
      HealthCheckTimeoutSeconds: 4,
      HealthyThresholdCount: 2,
      UnhealthyThresholdCount: 2,
      Matcher: { HttpCode: check.matcher },
      Tags,
    }),
  );
  return TargetGroups?.[0]?.TargetGroupArn ?? '';
}

export interface PreviewRoute {
  prefix: string;
  secret: string;
  groupArn: string;
  tags: Tag[];
}

/**
 * Creates a rule at a free priority, and retries if another run takes that priority meanwhile. Resolves to the rule's
 * ARN.
 */
export async function createRoute(setting: Setting, route: PreviewRoute): Promise<string> {
  const { clients, foundation } = setting;
  const { listenerArn: ListenerArn } = foundation;
  for (let attempt = 1; ; attempt++) {
    const used = new Set((await listRules(setting)).map(({ priority }) => priority));
    const command = new CreateRuleCommand({
      ListenerArn,
      Priority: freePriority(used),
      Conditions: [
        { Field: 'path-pattern', PathPatternConfig: { Values: below(route.prefix).values } },
        { Field: 'http-header', HttpHeaderConfig: { HttpHeaderName: previewHeader, Values: [route.secret] } },
      ],
      Actions: [{ Type: 'forward', ForwardConfig: { TargetGroups: [{ TargetGroupArn: route.groupArn, Weight: 1 }] } }],
      Tags: route.tags,
    });
    try {
      return (await clients.balancer.send(command)).Rules?.[0]?.RuleArn ?? '';
    } catch (error) {
      if (!/PriorityInUse/.test(codeOf(error)) || attempt >= 10) throw error;
    }
  }
}

async function listRules({ clients, foundation }: Setting): Promise<{ arn: string; priority: number }[]> {
  const rules = await listenerRules(clients, foundation.listenerArn);
  return rules.map(({ RuleArn = '', Priority }) => ({ arn: RuleArn, priority: Number(Priority) }));
}

/** No-op if the rule does not exist. */
export const deleteRoute = ({ clients }: Setting, RuleArn: string): Promise<void> =>
  deleting(`deleting the rule ${RuleArn}`, () => clients.balancer.send(new DeleteRuleCommand({ RuleArn })));

/**
 * No-op if the group does not exist. A deleted rule keeps its group in use for a short time, so the deletion is
 * retried.
 */
export const deleteGroup = ({ clients }: Setting, TargetGroupArn: string): Promise<void> =>
  deleting(`deleting the target group ${TargetGroupArn}`, () =>
    clients.balancer.send(new DeleteTargetGroupCommand({ TargetGroupArn })),
  );

async function deleting(doing: string, call: () => Promise<object>): Promise<void> {
  const wait = { doing, deadlineMs: deleteMs, pollMs: 1000, todo: 'delete it in the console' };
  const retry = (error: unknown) => /ResourceInUse/.test(codeOf(error));
  await calling(doing, () =>
    until({ ...wait, retry }, () =>
      call().catch((error: unknown) => {
        if (isMissing(error)) return {};
        throw error;
      }),
    ),
  );
}

/** Deletes the rules, then the target groups, that ended runs left behind. Resolves to their ARNs. */
export const sweepRoutes = (setting: Setting): Promise<string[]> =>
  calling('deleting the routes of old previews', async () => {
    const { clients } = setting;
    const rules = await leftOver(
      setting,
      (await listRules(setting)).map(({ arn }) => arn),
    );
    for (const rule of rules) await deleteRoute(setting, rule);
    const groups: string[] = [];
    for await (const { TargetGroups } of paginateDescribeTargetGroups({ client: clients.balancer }, {}))
      groups.push(...(TargetGroups ?? []).flatMap(({ TargetGroupArn }) => TargetGroupArn ?? []));
    const left = await leftOver(setting, groups);
    for (const group of left) await deleteGroup(setting, group);
    return [...rules, ...left];
  });

async function leftOver({ clients, foundation }: Setting, arns: string[]): Promise<string[]> {
  const found: string[] = [];
  for (let i = 0; i < arns.length; i += perCall) {
    const command = new DescribeTagsCommand({ ResourceArns: arns.slice(i, i + perCall) });
    for (const { ResourceArn, Tags } of (await clients.balancer.send(command)).TagDescriptions ?? [])
      if (ResourceArn !== undefined && isLeftOver(fromTagList(Tags), foundation.spec)) found.push(ResourceArn);
  }
  return found;
}
