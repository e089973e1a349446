import * as pulumi from '@pulumi/pulumi';
import { Listener } from '@pulumi/aws/lb/listener.js';
import { LoadBalancer } from '@pulumi/aws/lb/loadBalancer.js';
import { Record as DnsRecord } from '@pulumi/aws/route53/record.js';
import { PrivateBucket } from '../storage/bucket.ts';
import { EntryCertificate } from './certificate.ts';
import { Component, type Place } from '../../lib/place.ts';
import { WebFirewall } from './web-firewall.ts';

/**
 * TLS 1.3, and TLS 1.2 with forward secrecy and authenticated ciphers only. The API's default policy still allows TLS
 * 1.0.
 */
export const tlsPolicy = 'ELBSecurityPolicy-TLS13-1-2-Res-2021-06';

const accessLogDays = 90;

export interface EdgeArgs {
  /** Port of the HTTPS listener. */
  port: number;
  /** How long a connection may be quiet, seconds. */
  idleSeconds: number;
  subnetIds: pulumi.Input<pulumi.Input<string>[]>;
  securityGroupId: pulumi.Input<string>;
  keyArn: pulumi.Input<string>;
}

/** The entry point: a load balancer, the only part of the environment that the internet reaches. */
export class Edge extends Component {
  readonly balancer: LoadBalancer;
  /** The colours (header routes) and the traffic stack add rules to it. */
  readonly listener: Listener;
  readonly #args: EdgeArgs;

  constructor(args: EdgeArgs, place: Place, options: pulumi.ComponentResourceOptions) {
    super('Edge', `${place.environment}-edge`, place, options);
    this.#args = args;
    this.balancer = this.#balancer();
    this.listener = this.#https(new EntryCertificate(place, this.child).arn);
    this.#redirectHttp();
    this.#dnsName();
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
        // Applications differ in how they treat invalid headers, so the balancer drops them.
        dropInvalidHeaderFields: true,
        // Seconds. One for all services, and for WebSockets too.
        idleTimeout: this.#args.idleSeconds,
        // The application gets the client's Host header, as it does behind the local entry point.
        preserveHostHeader: true,
        enableDeletionProtection: place.production,
        tags: place.tags,
      },
      // The balancer writes a test object as soon as it exists, so the bucket's policy must exist before.
      { parent: this, dependsOn: logs },
    );
  }

  /** Without `keyArn`: according to the Elastic Load Balancing guide, access logs allow only S3-managed keys. */
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
        // No `Server` header.
        routingHttpResponseServerEnabled: false,
        // The answer before the first go-live, when no rules of the traffic stack exist.
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

  #redirectHttp() {
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

  #dnsName() {
    const { dnsName, zoneId } = this.balancer;
    const { hostedZoneId, domain } = this.place.settings;
    const aliases = [{ name: dnsName, zoneId, evaluateTargetHealth: true }];
    new DnsRecord(this.named('entry'), { zoneId: hostedZoneId, name: domain, type: 'A', aliases }, this.child);
  }
}
