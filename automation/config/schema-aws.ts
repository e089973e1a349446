import { isIP } from 'node:net';
import { z } from 'zod';
import { cidrBlock, overlap } from '../../infra/aws/lib/cidr.ts';
import { awsShape, consistent, domain, type AwsSettings } from '../../infra/aws/lib/settings.ts';
import { environmentNames, type EnvironmentName } from '../../infra/model.ts';
import { name, webUrl } from './scalars.ts';
import { noImagesOfServices } from './image-rules.ts';
import { report, type Context, type Databases, type Path, type Unsure } from './rules.ts';
import { greenlight } from '../../infra/lib/command.ts';

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

const kinds = ['unit', 'integration', 'acceptance', 'smoke'] as const;

type Definition = Unsure<{
  aws: Unsure<{ integrations: Record<string, unknown> }>;
  application: Unsure<{
    integrations: (Unsure<{ name: string; url: string }> | undefined)[];
    services: Unsure<{
      name: string;
      env: Record<string, string>;
      database: boolean;
      health: unknown;
      protocol: string;
      image: object;
    }>[];
    jobs: Unsure<{ image: string }>;
    secrets: Record<string, unknown>;
    writes: Requests['writes'];
    http: Requests['http'];
    workers: Unsure<{ name: string; env: Record<string, string>; database: boolean }>[];
    schedules: Unsure<{ name: string; env: Record<string, string>; database: boolean }>[];
    files: Unsure<{ name: string; env: string }>[];
  }>;
  environments: Databases & Unsure<Record<EnvironmentName, Unsure<{ secrets: Record<string, unknown> }>>>;
  tests: Unsure<Record<(typeof kinds)[number], Unsure<{ results: string; forwarder: boolean }>>>;
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
const notOnAws = {
  workers: 'are for platform "local" only: on AWS nothing keeps the workers of two colours apart yet; leave them out',
  schedules: 'are for platform "local" only: on AWS nothing runs commands on the live colour alone yet; leave them out',
  files: 'are for platform "local" only: a task on AWS has no directory that outlives it; leave them out',
};

/** Rules that apply only to the platform aws. */
export function fitsAws(definition: Definition, ctx: Context): void {
  if (definition?.aws === undefined)
    return report(ctx, ['aws'], `is missing: platform "aws" needs it; ${greenlight('init')} shows all its settings`);
  noImagesOfServices(definition.application, ctx);
  for (const environment of environmentNames) {
    if (definition.environments?.[environment]?.database?.version === undefined) continue;
    const path = ['environments', environment, 'database', 'version'];
    report(ctx, path, 'is for platform "local"; on AWS give aws.database.version, with the minor version');
  }
  if (definition.application != null) requestsFitAws(definition.application, ctx);
  for (const key of ['workers', 'schedules', 'files'] as const)
    if ((definition.application?.[key]?.length ?? 0) > 0) report(ctx, ['application', key], notOnAws[key]);
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
  onlyOnLocal(definition, ctx);
  for (const kind of kinds) {
    const tests = definition.tests?.[kind];
    if (tests?.results !== undefined)
      report(ctx, ['tests', kind, 'results'], 'is for platform "local"; on AWS put {results} into the command');
    if (tests?.forwarder === true)
      report(
        ctx,
        ['tests', kind, 'forwarder'],
        'is for platform "local": on AWS tests run as tasks, which cannot reach a forwarder on this machine; let them send ROUTE_HEADERS',
      );
  }
  list(definition.alerts?.receivers).forEach((receiver, index) => {
    if (typeof receiver?.webhook !== 'string' || receiver.webhook.startsWith('https://')) return;
    report(
      ctx,
      ['alerts', 'receivers', index, 'webhook'],
      'is not https, and SNS supports only https; give an https address',
    );
  });
}

/** What a target group or a task cannot do. */
function onlyOnLocal({ application, environments }: NonNullable<Definition>, ctx: Context): void {
  list(application?.services).forEach((service, index) => {
    const health = service?.health;
    if (typeof health !== 'object' || health === null) return;
    const path = ['application', 'services', index, 'health'];
    if (!('path' in health)) report(ctx, path, 'is for platform "local"; on AWS a target group asks a path: give one');
    else if ('headers' in health && health.headers !== undefined)
      report(ctx, [...path, 'headers'], 'are for platform "local": a target group sends none; leave them out');
  });
  const secrets: [Path, Record<string, unknown> | undefined][] = [
    [['application', 'secrets'], application?.secrets],
    ...environmentNames.map((name): [Path, Record<string, unknown> | undefined] => [
      ['environments', name, 'secrets'],
      environments?.[name]?.secrets,
    ]),
  ];
  for (const [path, sources] of secrets)
    if (Object.keys(sources ?? {}).length > 0)
      report(ctx, path, 'are for platform "local" so far; on AWS let the application read Secrets Manager itself');
}

const list = <T>(value: T[] | null | undefined): T[] => (Array.isArray(value) ? value : []);
