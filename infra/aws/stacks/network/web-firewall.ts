import type * as pulumi from '@pulumi/pulumi';
import { WebAcl } from '@pulumi/aws/wafv2/webAcl.js';
import { WebAclAssociation } from '@pulumi/aws/wafv2/webAclAssociation.js';
import { WebAclLoggingConfiguration } from '@pulumi/aws/wafv2/webAclLoggingConfiguration.js';
import { logGroup } from '../storage/log-group.ts';
import { Component, type Place } from '../../lib/place.ts';

/** AWS's managed rule groups in order of evaluation. Rules in `count` are counted instead of blocking. */
export const managedGroups: { name: string; count: string[] }[] = [
  { name: 'AWSManagedRulesAmazonIpReputationList', count: [] },
  // `SizeRestrictions_BODY` blocks bodies above 8 KiB. Limits on bodies are the application's decision, so it only
  // counts.
  { name: 'AWSManagedRulesCommonRuleSet', count: ['SizeRestrictions_BODY'] },
  { name: 'AWSManagedRulesKnownBadInputsRuleSet', count: [] },
  { name: 'AWSManagedRulesSQLiRuleSet', count: [] },
];

/** Headers that hold secrets; redacted in the log. */
const secretHeaders = ['authorization', 'cookie', 'x-greenlight-secret'];

/** The web application firewall before the load balancer. */
export class WebFirewall extends Component {
  constructor(
    { balancerArn, keyArn }: { balancerArn: pulumi.Input<string>; keyArn: pulumi.Input<string> },
    place: Place,
    options: pulumi.ComponentResourceOptions,
  ) {
    super('WebFirewall', `${place.environment}-web-firewall`, place, options);
    const acl = new WebAcl(
      this.named('web'),
      {
        scope: 'REGIONAL',
        defaultAction: { allow: {} },
        rules: managedGroups.map(({ name, count }, index) => ({
          name,
          priority: index,
          overrideAction: { none: {} },
          statement: {
            managedRuleGroupStatement: {
              vendorName: 'AWS',
              name,
              ruleActionOverrides: count.map((rule) => ({ name: rule, actionToUse: { count: {} } })),
            },
          },
          visibilityConfig: this.#visible(name),
        })),
        visibilityConfig: this.#visible('web'),
        tags: place.tags,
      },
      this.child,
    );
    new WebAclAssociation(this.named('web'), { resourceArn: balancerArn, webAclArn: acl.arn }, this.child);
    this.#logs(acl, keyArn);
    this.registerOutputs({});
  }

  #visible = (metricName: string) => ({ metricName, cloudwatchMetricsEnabled: true, sampledRequestsEnabled: false });

  #logs(acl: WebAcl, keyArn: pulumi.Input<string>) {
    const { place } = this;
    // AWS WAF requires this prefix.
    const logs = logGroup(this.named('web'), { name: `aws-waf-logs-${place.environment}`, place, keyArn }, this);
    new WebAclLoggingConfiguration(
      this.named('web'),
      {
        resourceArn: acl.arn,
        logDestinationConfigs: [logs.arn],
        redactedFields: secretHeaders.map((name) => ({ singleHeader: { name } })),
      },
      this.child,
    );
  }
}
