import { isIP } from 'node:net';
import { z } from 'zod';
import { cidrBlock, overlap } from '../../infra/aws/lib/cidr.ts';
import { awsShape, consistent, domain, type AwsSettings } from '../../infra/aws/lib/settings.ts';
import { environmentNames, type EnvironmentName } from '../../infra/model.ts';
import { name, webUrl } from './scalars.ts';
import { report, type Context, type Databases, type Unsure } from './rules.ts';

const { cidrBlock: _ofOneEnvironment, ...shared } = awsShape;

/** The address ranges must not overlap, because the networks are peered: a release reaches both. */
const cidrBlocks = z
  .strictObject({
    staging: cidrBlock.default('10.0.0.0/16').describe('of staging'),
    production: cidrBlock.default('10.1.0.0/16').describe('of production'),
  })
  .refine(({ staging, production }) => !overlap(staging, production), {
    message: 'must not overlap: a release reaches both networks, and they are peered for it',
  })
  .prefault({})
  .describe('addresses of the networks');

/** The section for `platform: 'aws'`: the settings of `infra/aws`, with address range and domain per environment. */
export const aws = consistent(
  z.strictObject({
    ...shared,
    cidrBlocks,
    domains: z
      .strictObject({
        staging: domain.meta({ description: 'of staging', examples: ['staging.example.org'] }),
        production: domain.meta({ description: 'of production', examples: ['app.example.org'] }),
      })
      // Two environments may share an IP address (emulated account, different ports), but not a name in the zone.
      .refine(({ staging, production }) => staging !== production || isIP(staging) !== 0, {
        path: ['production'],
        message: 'is the name of staging too; both are up at the same time, so choose another name',
      })
      .describe('names of the entry points, in the hosted zone'),
    integrations: z
      .record(name, webUrl)
      .default({})
      .describe(
        'URLs, by name, of integrations that have a local stand-in: tasks on AWS cannot reach a process on this machine',
      ),
  }),
);

/** The settings of one environment's stacks. */
export function awsSettingsOf(section: z.output<typeof aws>, environment: EnvironmentName): AwsSettings {
  const { domains, cidrBlocks, integrations: _ofTheServices, ...common } = section;
  return { ...common, cidrBlock: cidrBlocks[environment], domain: domains[environment] };
}

type Definition = Unsure<{
  aws: Unsure<{ integrations: Record<string, unknown> }>;
  application: Unsure<{ integrations: (Unsure<{ name: string; url: string }> | undefined)[] } & Requests>;
  environments: Databases;
  alerts: Unsure<{ receivers: (Unsure<{ name: string; webhook: string }> | undefined)[] }>;
}>;

interface Requests {
  services: (Unsure<{ protocol: string }> | undefined)[];
  writes: Unsure<{ reads: string[]; withoutCookie: string[] }>;
  http: Unsure<{ headerKilobytes: number; bodyMegabytes: number }>;
}

/** Quotas of the Elastic Load Balancing guide: the head of an answer, KiB, and a method in a condition. */
const mostHeaderKilobytes = 32;
const ruleMethod = /^[A-Z_-]{1,40}$/;

/** What a load balancer of AWS cannot do with requests. */
function requestsFitAws({ services, writes, http }: Unsure<Requests> & object, ctx: Context): void {
  const at = (path: (string | number)[], message: string) => report(ctx, ['application', ...path], message);
  list(services).forEach((service, index) => {
    if (service?.protocol !== 'h2c') return;
    at(
      ['services', index, 'protocol'],
      '"h2c" is for platform "local": target groups of HTTP/2 are not built; leave it out',
    );
  });
  list(writes?.reads).forEach((method, index) => {
    if (ruleMethod.test(method)) return;
    at(
      ['writes', 'reads', index],
      `a rule of a load balancer cannot have the method "${method}": it takes capital letters, "-" and "_"`,
    );
  });
  if (writes?.withoutCookie !== undefined)
    at(
      ['writes', 'withoutCookie'],
      'is for platform "local": a rule of a load balancer of AWS can ask for a cookie, and not for its absence; leave it out',
    );
  if (http?.bodyMegabytes !== undefined)
    at(['http', 'bodyMegabytes'], 'is for platform "local": a load balancer of AWS has no such limit; leave it out');
  if ((http?.headerKilobytes ?? 0) > mostHeaderKilobytes)
    at(
      ['http', 'headerKilobytes'],
      `a load balancer of AWS takes at most ${mostHeaderKilobytes} KiB in the head of an answer, and 16 KiB in one header`,
    );
}

/** Rules that apply only to the platform aws. */
export function fitsAws(definition: Definition, ctx: Context): void {
  if (definition?.aws === undefined)
    return report(ctx, ['aws'], 'is missing: platform "aws" needs it; npm run init shows all its settings');
  for (const environment of environmentNames) {
    if (definition.environments?.[environment]?.database?.version === undefined) continue;
    const path = ['environments', environment, 'database', 'version'];
    report(ctx, path, 'is for platform "local"; on AWS give aws.database.version, with the minor version');
  }
  if (definition.application != null) requestsFitAws(definition.application, ctx);
  list(definition.application?.integrations).forEach((integration) => {
    if (integration?.name === undefined || integration.url !== undefined) return;
    if (definition.aws?.integrations?.[integration.name] !== undefined) return;
    const path = ['aws', 'integrations', integration.name];
    report(
      ctx,
      path,
      'is missing: tasks on AWS cannot reach a stand-in on this machine; give the URL of the third party',
    );
  });
  list(definition.alerts?.receivers).forEach((receiver, index) => {
    if (typeof receiver?.webhook !== 'string' || receiver.webhook.startsWith('https://')) return;
    report(
      ctx,
      ['alerts', 'receivers', index, 'webhook'],
      'is not https, and SNS supports only https; give an https address',
    );
  });
}

const list = <T>(value: T[] | null | undefined): T[] => (Array.isArray(value) ? value : []);
