import type * as pulumi from '@pulumi/pulumi';
import { Certificate } from '@pulumi/aws/acm/certificate.js';
import { CertificateValidation } from '@pulumi/aws/acm/certificateValidation.js';
import { Record as DnsRecord } from '@pulumi/aws/route53/record.js';
import { Component, type Place } from '../../lib/place.ts';

/** The entry point's certificate. ACM renews it by itself as long as the DNS record that validates it exists. */
export class EntryCertificate extends Component {
  /** Resolves once the certificate is issued, so that no listener gets one that is not. */
  readonly arn: pulumi.Output<string>;

  constructor(place: Place, options: pulumi.ComponentResourceOptions) {
    super('EntryCertificate', `${place.environment}-certificate`, place, options);
    const { domain, hostedZoneId } = place.settings;
    const certificate = new Certificate(
      this.named('entry'),
      { domainName: domain, validationMethod: 'DNS', keyAlgorithm: 'EC_prime256v1', tags: place.tags },
      this.child,
    );
    const proof = certificate.domainValidationOptions.apply(([option]) => {
      if (option === undefined) throw new Error(`ACM returned no validation record for ${domain}`);
      return option;
    });
    const record = new DnsRecord(
      this.named('proof'),
      {
        zoneId: hostedZoneId,
        name: proof.resourceRecordName,
        type: proof.resourceRecordType,
        records: [proof.resourceRecordValue],
        ttl: 300,
        // Both environments may validate the same domain with the same record.
        allowOverwrite: true,
      },
      this.child,
    );
    const args = { certificateArn: certificate.arn, validationRecordFqdns: [record.fqdn] };
    this.arn = new CertificateValidation(this.named('entry'), args, this.child).certificateArn;
    this.registerOutputs({});
  }
}
