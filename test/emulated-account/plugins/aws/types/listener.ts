import {
  type Action,
  type ActionTypeEnum,
  CreateListenerCommand,
  CreateRuleCommand,
  DeleteListenerCommand,
  DeleteRuleCommand,
  DescribeListenersCommand,
  DescribeRulesCommand,
  ModifyListenerAttributesCommand,
  ModifyListenerCommand,
  ModifyRuleCommand,
  type ProtocolEnum,
  type RedirectActionStatusCodeEnum,
  type RuleCondition,
  SetRulePrioritiesCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import type { Unwrap } from '@pulumi/pulumi';
import type { ListenerArgs } from '@pulumi/aws/lb/listener.js';
import type { ListenerRuleArgs } from '@pulumi/aws/lb/listenerRule.js';
import { resource, type Context, type Table } from '../../handler.ts';
import { retag, tagsOf } from './balancer.ts';
import { tagList } from './tags.ts';

type ListenerInputs = Unwrap<ListenerArgs>;
type RuleInputs = Unwrap<ListenerRuleArgs>;
type DeclaredAction = RuleInputs['actions'][number] | ListenerInputs['defaultActions'][number];

const toAction = (action: DeclaredAction, index: number): Action => ({
  Type: action.type as ActionTypeEnum,
  Order: action.order ?? index + 1,
  ...(action.targetGroupArn === undefined ? {} : { TargetGroupArn: action.targetGroupArn }),
  ...(action.forward === undefined
    ? {}
    : {
        ForwardConfig: {
          TargetGroups: action.forward.targetGroups.map(({ arn, weight }) => ({ TargetGroupArn: arn, Weight: weight })),
          ...(action.forward.stickiness === undefined
            ? {}
            : {
                TargetGroupStickinessConfig: {
                  Enabled: action.forward.stickiness.enabled ?? false,
                  DurationSeconds: action.forward.stickiness.duration,
                },
              }),
        },
      }),
  ...(action.fixedResponse === undefined
    ? {}
    : {
        FixedResponseConfig: {
          StatusCode: action.fixedResponse.statusCode,
          ContentType: action.fixedResponse.contentType,
          MessageBody: action.fixedResponse.messageBody,
        },
      }),
  ...(action.redirect === undefined
    ? {}
    : {
        RedirectConfig: {
          Protocol: action.redirect.protocol,
          Port: action.redirect.port,
          Host: action.redirect.host,
          Path: action.redirect.path,
          Query: action.redirect.query,
          StatusCode: action.redirect.statusCode as RedirectActionStatusCodeEnum,
        },
      }),
});

/** In the form of a declared action, including AWS's defaults. */
const fromAction = (action: Action) => ({
  type: action.Type,
  targetGroupArn: action.TargetGroupArn,
  forward: action.ForwardConfig && {
    targetGroups: action.ForwardConfig.TargetGroups?.map(({ TargetGroupArn, Weight }) => ({
      arn: TargetGroupArn,
      weight: Weight,
    })),
    stickiness: {
      enabled: action.ForwardConfig.TargetGroupStickinessConfig?.Enabled ?? false,
      duration: action.ForwardConfig.TargetGroupStickinessConfig?.DurationSeconds,
    },
  },
  fixedResponse: action.FixedResponseConfig && {
    statusCode: action.FixedResponseConfig.StatusCode,
    contentType: action.FixedResponseConfig.ContentType,
    messageBody: action.FixedResponseConfig.MessageBody,
  },
  redirect: action.RedirectConfig && {
    protocol: action.RedirectConfig.Protocol,
    port: action.RedirectConfig.Port,
    host: action.RedirectConfig.Host,
    path: action.RedirectConfig.Path,
    query: action.RedirectConfig.Query,
    statusCode: action.RedirectConfig.StatusCode,
  },
});

const toCondition = (condition: RuleInputs['conditions'][number]): RuleCondition => {
  const { pathPattern, httpRequestMethod, httpHeader, hostHeader, sourceIp, queryStrings } = condition;
  if (pathPattern) return { Field: 'path-pattern', PathPatternConfig: { Values: pathPattern.values } };
  if (httpRequestMethod)
    return { Field: 'http-request-method', HttpRequestMethodConfig: { Values: httpRequestMethod.values } };
  if (httpHeader)
    return {
      Field: 'http-header',
      HttpHeaderConfig: { HttpHeaderName: httpHeader.httpHeaderName, Values: httpHeader.values },
    };
  if (hostHeader) return { Field: 'host-header', HostHeaderConfig: { Values: hostHeader.values } };
  if (sourceIp) return { Field: 'source-ip', SourceIpConfig: { Values: sourceIp.values } };
  if (queryStrings)
    return {
      Field: 'query-string',
      QueryStringConfig: { Values: queryStrings.map(({ key, value }) => ({ Key: key, Value: value })) },
    };
  throw new Error(`the stand-in knows no such condition of a rule: ${Object.keys(condition).join(', ')}`);
};

const fromCondition = (condition: RuleCondition) => {
  const { PathPatternConfig, HttpRequestMethodConfig, HttpHeaderConfig, HostHeaderConfig, SourceIpConfig } = condition;
  switch (condition.Field) {
    case 'path-pattern':
      return { pathPattern: { values: PathPatternConfig?.Values ?? condition.Values } };
    case 'http-request-method':
      return { httpRequestMethod: { values: HttpRequestMethodConfig?.Values } };
    case 'http-header':
      return { httpHeader: { httpHeaderName: HttpHeaderConfig?.HttpHeaderName, values: HttpHeaderConfig?.Values } };
    case 'host-header':
      return { hostHeader: { values: HostHeaderConfig?.Values ?? condition.Values } };
    case 'source-ip':
      return { sourceIp: { values: SourceIpConfig?.Values } };
    default:
      return {
        queryStrings: condition.QueryStringConfig?.Values?.map(({ Key, Value }) => ({ key: Key, value: Value })),
      };
  }
};

const listenerFields = (inputs: ListenerInputs) => ({
  Port: inputs.port,
  Protocol: inputs.protocol as ProtocolEnum | undefined,
  SslPolicy: inputs.sslPolicy,
  ...(inputs.certificateArn === undefined ? {} : { Certificates: [{ CertificateArn: inputs.certificateArn }] }),
  DefaultActions: inputs.defaultActions.map(toAction),
});

const listener = resource<ListenerArgs>({
  replaces: ['loadBalancerArn'],
  async create(inputs, context) {
    const { Listeners } = await context.clients.balancer.send(
      new CreateListenerCommand({
        LoadBalancerArn: inputs.loadBalancerArn,
        ...listenerFields(inputs),
        Tags: tagList(inputs.tags),
      }),
    );
    const arn = Listeners?.[0]?.ListenerArn as string;
    await setAttributes(arn, inputs, context);
    return { id: arn, outputs: { arn } };
  },
  async read(id, _state, context) {
    const { Listeners } = await context.clients.balancer.send(new DescribeListenersCommand({ ListenerArns: [id] }));
    const found = Listeners?.[0];
    if (found === undefined) return undefined;
    return {
      port: found.Port,
      protocol: found.Protocol,
      sslPolicy: found.SslPolicy,
      certificateArn: found.Certificates?.[0]?.CertificateArn,
      defaultActions: found.DefaultActions?.map(fromAction),
      tags: await tagsOf(id, context),
    };
  },
  async update({ id, inputs, state, changed }, context) {
    if (changed('tags')) await retag(id, state.tags, inputs.tags, context);
    if (changed('port', 'protocol', 'sslPolicy', 'certificateArn', 'defaultActions'))
      await context.clients.balancer.send(new ModifyListenerCommand({ ListenerArn: id, ...listenerFields(inputs) }));
    await setAttributes(id, inputs, context);
  },
  async delete(id, _state, { clients }) {
    await clients.balancer.send(new DeleteListenerCommand({ ListenerArn: id }));
  },
});

async function setAttributes(arn: string, inputs: ListenerInputs, { clients }: Context): Promise<void> {
  const server = inputs.routingHttpResponseServerEnabled;
  if (server === undefined) return;
  const Attributes = [{ Key: 'routing.http.response.server.enabled', Value: String(server) }];
  await clients.balancer.send(new ModifyListenerAttributesCommand({ ListenerArn: arn, Attributes }));
}

const rule = resource<ListenerRuleArgs>({
  replaces: ['listenerArn'],
  async create(inputs, { clients }) {
    const { Rules } = await clients.balancer.send(
      new CreateRuleCommand({
        ListenerArn: inputs.listenerArn,
        Priority: inputs.priority,
        Conditions: inputs.conditions.map(toCondition),
        Actions: inputs.actions.map(toAction),
        Tags: tagList(inputs.tags),
      }),
    );
    const arn = Rules?.[0]?.RuleArn as string;
    return { id: arn, outputs: { arn } };
  },
  async read(id, _state, context) {
    const { Rules } = await context.clients.balancer.send(new DescribeRulesCommand({ RuleArns: [id] }));
    const found = Rules?.[0];
    if (found === undefined) return undefined;
    return {
      priority: Number(found.Priority),
      conditions: found.Conditions?.map(fromCondition),
      actions: found.Actions?.map(fromAction),
      tags: await tagsOf(id, context),
    };
  },
  async update({ id, inputs, state, changed }, context) {
    const { balancer } = context.clients;
    if (changed('priority')) {
      const RulePriorities = [{ RuleArn: id, Priority: inputs.priority }];
      await balancer.send(new SetRulePrioritiesCommand({ RulePriorities }));
    }
    if (changed('actions', 'conditions')) {
      const Conditions = changed('conditions') ? inputs.conditions.map(toCondition) : undefined;
      const Actions = changed('actions') ? inputs.actions.map(toAction) : undefined;
      await balancer.send(new ModifyRuleCommand({ RuleArn: id, Conditions, Actions }));
    }
    if (changed('tags')) await retag(id, state.tags, inputs.tags, context);
  },
  async delete(id, _state, { clients }) {
    await clients.balancer.send(new DeleteRuleCommand({ RuleArn: id }));
  },
});

export const listeners: Table = {
  'aws:lb/listener:Listener': listener,
  'aws:lb/listenerRule:ListenerRule': rule,
};
