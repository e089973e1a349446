import {
  ChangeResourceRecordSetsCommand,
  ListResourceRecordSetsCommand,
  type ChangeAction,
  type RRType,
} from '@aws-sdk/client-route-53';
import type { CertificateArgs } from '@pulumi/aws/acm/certificate.js';
import type { CertificateValidationArgs } from '@pulumi/aws/acm/certificateValidation.js';
import type { RecordArgs } from '@pulumi/aws/route53/record.js';
import type { Unwrap } from '@pulumi/pulumi';
import { resource, type Context, type Table } from '../../handler.ts';
import { until } from '../wait.ts';
import { tagList } from './tags.ts';

type Inputs = Unwrap<RecordArgs>;

async function change(Action: ChangeAction, inputs: Inputs, { clients }: Context): Promise<void> {
  const [alias] = inputs.aliases ?? [];
  const ResourceRecordSet = {
    Name: inputs.name,
    Type: inputs.type as RRType,
    ...(alias === undefined
      ? { TTL: inputs.ttl, ResourceRecords: inputs.records?.map((Value) => ({ Value })) }
      : {
          AliasTarget: {
            DNSName: alias.name,
            HostedZoneId: alias.zoneId,
            EvaluateTargetHealth: alias.evaluateTargetHealth,
          },
        }),
  };
  const ChangeBatch = { Changes: [{ Action, ResourceRecordSet }] };
  await clients.names.send(new ChangeResourceRecordSetsCommand({ HostedZoneId: inputs.zoneId, ChangeBatch }));
}

const record = resource<RecordArgs>({
  replaces: ['zoneId', 'name', 'type'],
  async create(inputs, context) {
    await change(inputs.allowOverwrite === true ? 'UPSERT' : 'CREATE', inputs, context);
    return { id: `${inputs.zoneId}_${inputs.name}_${inputs.type}`, outputs: { fqdn: inputs.name.replace(/\.$/, '') } };
  },
  async read(_id, { zoneId, name, type }, { clients }) {
    const { ResourceRecordSets } = await clients.names.send(
      new ListResourceRecordSetsCommand({
        HostedZoneId: zoneId,
        StartRecordName: name,
        StartRecordType: type as RRType,
      }),
    );
    const plain = (text: string | undefined) => text?.replace(/\.$/, '');
    const found = ResourceRecordSets?.some(({ Name, Type }) => plain(Name) === plain(name) && Type === type);
    return found === true ? { fqdn: plain(name) } : undefined;
  },
  async update({ inputs }, context) {
    await change('UPSERT', inputs, context);
  },
  async delete(_id, state, context) {
    await change('DELETE', state, context);
  },
});

interface Described {
  Status: string;
  DomainValidationOptions?: {
    DomainName: string;
    ResourceRecord?: { Name: string; Type: string; Value: string };
  }[];
}

const acm = ({ clients }: Context, action: string, input: Record<string, unknown>) =>
  clients.json('acm', `CertificateManager.${action}`, input);

const certificate = resource<CertificateArgs>({
  replaces: ['domainName', 'validationMethod', 'keyAlgorithm'],
  async create({ domainName, validationMethod, keyAlgorithm, tags }, context) {
    const { CertificateArn } = await acm(context, 'RequestCertificate', {
      DomainName: domainName,
      ValidationMethod: validationMethod,
      KeyAlgorithm: keyAlgorithm,
      Tags: tagList(tags),
    });
    // ACM creates the validation records after it has answered.
    const options = await until('the validation records of the domain', async () => {
      const { Certificate } = await acm(context, 'DescribeCertificate', { CertificateArn });
      const found = (Certificate as Described).DomainValidationOptions;
      return found?.every(({ ResourceRecord }) => ResourceRecord !== undefined) ? found : undefined;
    });
    const domainValidationOptions = options.map(({ DomainName, ResourceRecord }) => ({
      domainName: DomainName,
      resourceRecordName: ResourceRecord?.Name,
      resourceRecordType: ResourceRecord?.Type,
      resourceRecordValue: ResourceRecord?.Value,
    }));
    return { id: CertificateArn as string, outputs: { arn: CertificateArn, domainValidationOptions } };
  },
  async read(id, _state, context) {
    await acm(context, 'DescribeCertificate', { CertificateArn: id });
    return {};
  },
  update: () => Promise.resolve(),
  async delete(id, _state, context) {
    await acm(context, 'DeleteCertificate', { CertificateArn: id });
  },
});

/**
 * The real plug-in waits until the certificate is issued. Nobody checks the DNS records of an emulated account, so the
 * stand-in does not wait.
 */
const validation = resource<CertificateValidationArgs>({
  replaces: 'all',
  create: ({ certificateArn }) => Promise.resolve({ id: certificateArn }),
});

export const names: Table = {
  'aws:route53/record:Record': record,
  'aws:acm/certificate:Certificate': certificate,
  'aws:acm/certificateValidation:CertificateValidation': validation,
};
