import type * as pulumi from '@pulumi/pulumi';
import { SecurityGroup } from '@pulumi/aws/ec2/securityGroup.js';
import { SecurityGroupEgressRule } from '@pulumi/aws/vpc/securityGroupEgressRule.js';
import { SecurityGroupIngressRule } from '@pulumi/aws/vpc/securityGroupIngressRule.js';
import { databasePort, servicePort } from '../../lib/names.ts';
import { Component, type Place } from '../../lib/place.ts';
import type { AccessGroups } from '../../lib/foundation-reference.ts';

const everywhere = '0.0.0.0/0';
/**
 * The security groups. They allow: internet -> balancer -> tasks -> databases, replication between the databases, and
 * tasks to reach AWS and third parties over TLS.
 */
export class Access extends Component {
  readonly groups: AccessGroups;

  constructor(
    { vpcId, entryPort }: { vpcId: pulumi.Input<string>; entryPort: number },
    place: Place,
    options: pulumi.ComponentResourceOptions,
  ) {
    super('Access', `${place.environment}-access`, place, options);
    const group = (name: string, description: string) =>
      new SecurityGroup(this.named(name), { vpcId, description, tags: place.tags }, this.child).id;
    this.groups = {
      entry: group('entry', 'The load balancer: the only thing that the internet reaches'),
      tasks: group('tasks', 'Services and one-off tasks'),
      databases: group('databases', 'The databases of both colours'),
      endpoints: group('endpoints', 'The ways to the services of AWS'),
    };

    this.#open('entry', entryPort);
    // Plain HTTP is only redirected to HTTPS.
    this.#open('entry', 80);
    this.#allow('entry', 'tasks', servicePort);
    this.#allow('tasks', 'databases', databasePort);
    // Either colour's database subscribes to the other's.
    this.#allow('databases', 'databases', databasePort);
    this.#allow('tasks', 'endpoints', 443);
    // Third parties, S3 and the entry point itself, over TLS.
    for (const port of new Set([443, entryPort])) this.#leave('tasks', port);
    this.registerOutputs({});
  }

  #allow(from: keyof AccessGroups, to: keyof AccessGroups, port: number) {
    const rule = { ipProtocol: 'tcp', fromPort: port, toPort: port, tags: this.place.tags };
    const name = this.named(`${from}-to-${to}`);
    const [source, target] = [this.groups[from], this.groups[to]];
    new SecurityGroupEgressRule(
      name,
      { ...rule, securityGroupId: source, referencedSecurityGroupId: target },
      this.child,
    );
    new SecurityGroupIngressRule(
      name,
      { ...rule, securityGroupId: target, referencedSecurityGroupId: source },
      this.child,
    );
  }

  #open(group: keyof AccessGroups, port: number) {
    new SecurityGroupIngressRule(this.named(`internet-to-${group}-${port}`), this.#internet(group, port), this.child);
  }

  #leave(group: keyof AccessGroups, port: number) {
    new SecurityGroupEgressRule(this.named(`${group}-to-internet-${port}`), this.#internet(group, port), this.child);
  }

  #internet = (group: keyof AccessGroups, port: number) => ({
    securityGroupId: this.groups[group],
    ipProtocol: 'tcp',
    fromPort: port,
    toPort: port,
    cidrIpv4: everywhere,
    tags: this.place.tags,
  });
}
