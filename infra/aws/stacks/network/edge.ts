import * as pulumi from '@pulumi/pulumi';
import { Listener } from '@pulumi/aws/lb/listener.js';
import { LoadBalancer } from '@pulumi/aws/lb/loadBalancer.js';
import { Record as DnsRecord } from '@pulumi/aws/route53/record.js';
import { PrivateBucket } from '../storage/bucket.ts';
import { EntryCertificate } from './certificate.ts';
import { Component, type Place } from '../../lib/place.ts';
import { WebFirewall } from './web-firewall.ts';

/** TLS 1.2 with forward secrecy and authenticated ciphers only, and 1.3. The default of the API still takes TLS 1.0. */
export const tlsPolicy = 'ELBSecurityPolicy-TLS13-1-2-Res-2021-06';

const accessLogDays = 90;

export interface EdgeArgs {
  /** On which it answers in HTTPS. */
  port: number;
  subnetIds: pulumi.Input<pulumi.Input<string>[]>;
  securityGroupId: pulumi.Input<string>;
  keyArn: pulumi.Input<string>;
}

/** The entry point: a load balancer that is the only thing of the environment which the internet reaches. */
export class Edge extends Component {
  readonly balancer: LoadBalancer;
  /** Rules are added to it by the colours (header routes) and by the traffic stack. */
  readonly listener: Listener;
  readonly #args: EdgeArgs;

  constructor(args: EdgeArgs, place: Place, options: pulumi.ComponentResourceOptions) {
    super('Edge', `${place.environment}-edge`, place, options);
    this.#args = args;
    this.balancer = this.#balancer();
    this.listener = this.#https(new EntryCertificate(place, this.child).arn);
    this.#sendsHttpOn();
    this.#hasAName();
    new WebFirewall({ balancerArn: this.balancer.arn, keyArn: args.keyArn }, place, this.child);
    this.registerOutputs({});
  }

  #balancer() {
    const { place } = this;
    const logs = this.#accessLogs();
    return new LoadBalancer(
      this.named('entry'),
      {
        loadBalancerType: 'application',
        internal: false,
        subnets: this.#args.subnetIds,
        securityGroups: [this.#args.securityGroupId],
        accessLogs: { enabled: true, bucket: logs.bucket.bucket },
        // Headers that are not HTTP are dropped: applications differ in what they make of them.
        dropInvalidHeaderFields: true,
        // The application sees the name that the client asked for, as it does behind the local entry point.
        preserveHostHeader: true,
        enableDeletionProtection: place.production,
        tags: place.tags,
      },
      // The balancer tries to write as soon as it is there, which the bucket's policy must allow by then.
      { parent: this, dependsOn: logs },
    );
  }

  /** Access logs can be encrypted with S3's own key only, says the guide of Elastic Load Balancing. */
  #accessLogs() {
    const { accountId, region } = this.place.settings;
    const from = { 'aws:SourceArn': `arn:aws:elasticloadbalancing:${region}:${accountId}:loadbalancer/*` };
    return new PrivateBucket(
      'access-logs',
      {
        expireDays: accessLogDays,
        allow: (bucketArn) => [
          {
            Sid: 'AccessLogs',
            Effect: 'Allow',
            Principal: { Service: 'logdelivery.elasticloadbalancing.amazonaws.com' },
            Action: 's3:PutObject',
            Resource: pulumi.interpolate`${bucketArn}/AWSLogs/${accountId}/*`,
            Condition: { ArnLike: from },
          },
        ],
      },
      this.place,
      this.child,
    );
  }

  #https(certificateArn: pulumi.Output<string>) {
    return new Listener(
      this.named('https'),
      {
        loadBalancerArn: this.balancer.arn,
        port: this.#args.port,
        protocol: 'HTTPS',
        sslPolicy: tlsPolicy,
        certificateArn,
        // Tells nobody what it is.
        routingHttpResponseServerEnabled: false,
        // Before the first go-live there is no rule, and nothing to forward to.
        defaultActions: [
          {
            type: 'fixed-response',
            fixedResponse: { statusCode: '503', contentType: 'text/plain', messageBody: 'Not live yet.' },
          },
        ],
        tags: this.place.tags,
      },
      this.child,
    );
  }

  #sendsHttpOn() {
    const redirect = { protocol: 'HTTPS', port: String(this.#args.port), statusCode: 'HTTP_301' };
    new Listener(
      this.named('http'),
      {
        loadBalancerArn: this.balancer.arn,
        port: 80,
        protocol: 'HTTP',
        defaultActions: [{ type: 'redirect', redirect }],
        tags: this.place.tags,
      },
      this.child,
    );
  }

  #hasAName() {
    const { dnsName, zoneId } = this.balancer;
    const { hostedZoneId, domain } = this.place.settings;
    const aliases = [{ name: dnsName, zoneId, evaluateTargetHealth: true }];
    new DnsRecord(this.named('entry'), { zoneId: hostedZoneId, name: domain, type: 'A', aliases }, this.child);
  }
}
