import { declareStack, type Outputs } from '../../infra/aws/declared/mocks.ts';
import type { Declared } from '../../infra/aws/declared/resource-tree.ts';
import type { AwsSettings } from '../../infra/aws/lib/settings.ts';
import type { ColourSpec, EnvironmentName, EnvironmentSpec, Split } from '../../infra/model.ts';
import type { StackConfig } from '../../infra/stacks.ts';

export type { Declared } from '../../infra/aws/declared/resource-tree.ts';
export type { Outputs } from '../../infra/aws/declared/mocks.ts';

export const settings: AwsSettings = {
  accountId: '123456789012',
  region: 'eu-central-1',
  backupRegion: 'eu-west-1',
  availabilityZones: ['eu-central-1a', 'eu-central-1b'],
  hostedZoneId: 'Z0123456789ABC',
  domain: 'app.example.org',
  owner: 'learning',
  cidrBlock: '10.0.0.0/16',
  tasks: {
    cpu: 512,
    memory: 1024,
    max: 8,
    architecture: 'X86_64',
    schedules: [{ name: 'evening', cron: 'cron(0 17 * * ? *)', timeZone: 'Europe/Berlin', minTasks: 4 }],
  },
  database: { version: '17.6', instanceClass: 'db.m7g.large', storage: 50, maxStorage: 200 },
  state: { bucket: 'coins-state', key: 'alias/greenlight-state' },
  image: { dockerfile: 'infra/aws/Dockerfile', k6: 'grafana/k6:1.8.1' },
  authorities: { databasePeers: '/rdsdbdata/rds-metadata/ca-cert.pem' },
  metrics: { periodSeconds: 60, delaySeconds: 180 },
  logDays: 90,
  backupDays: 14,
  monthlyBudget: 900,
};

export const spec = (environment: EnvironmentName): EnvironmentSpec => ({
  application: 'coins',
  environment,
  services: [
    {
      name: 'web',
      start: ['node', 'web.mjs'],
      health: '/healthz',
      routes: ['/'],
      instances: 1,
      database: false,
      env: {},
    },
    {
      name: 'api',
      start: ['node', 'api.mjs'],
      health: '/api/health',
      routes: ['/api'],
      instances: 3,
      database: true,
      env: { LEVEL: 'info' },
    },
  ],
  integrations: [{ name: 'feed', env: 'FEED_URL', url: 'https://feed.example.org', health: '/' }],
  writes: { reads: ['GET', 'HEAD', 'OPTIONS', 'TRACE'], paths: [] },
  database: { maxConnections: 200 },
  slo: { errorRate: 0.01, p95Ms: 300 },
  alertReceivers: [{ name: 'on-call', webhook: 'https://alerts.example.org/token' }],
});

export const colourSpec = (colour: ColourSpec['colour']): ColourSpec => ({
  colour,
  artefact: { version: '2.0.0', digest: `sha256:${'ab'.repeat(32)}`, location: 'registry' },
});

/** Runs one stack's program against mocks: what it declares, and what it gives to the other stacks. */
export const declare = (
  environment: EnvironmentName,
  config: StackConfig,
  outputs: Outputs = new Map(),
  aws: unknown = settings,
): Promise<Declared[]> => declareStack(environment, config, outputs, aws as AwsSettings);

export interface Environment {
  foundation: Declared[];
  blue: Declared[];
  green: Declared[];
  traffic: Declared[];
  all: Declared[];
  outputs: Outputs;
}

/** All four stacks of an environment, each colour with a version. */
export async function declareEnvironment(
  environment: EnvironmentName,
  split: Split,
  of = spec(environment),
): Promise<Environment> {
  const outputs: Outputs = new Map();
  const foundation = await declare(environment, { kind: 'foundation', spec: of }, outputs);
  const blue = await declare(environment, { kind: 'blue', colour: colourSpec('blue') }, outputs);
  const green = await declare(environment, { kind: 'green', colour: colourSpec('green') }, outputs);
  const traffic = await declare(environment, { kind: 'traffic', split }, outputs);
  return { foundation, blue, green, traffic, all: [...foundation, ...blue, ...green, ...traffic], outputs };
}

/** Its inputs. */
export const only = (declared: Declared[], type: string, part = ''): Record<string, unknown> =>
  declaration(declared, type, part).inputs;

/** The only resource of a type whose name holds `part`, with its options. Throws where there is none, or several. */
export function declaration(declared: Declared[], type: string, part = ''): Declared {
  const found = all(declared, type).filter(({ name }) => `${name}:`.includes(part));
  if (found.length !== 1)
    throw new Error(`${found.length} of ${type} with ${part}: ${found.map(({ name }) => name).join(', ')}`);
  return found[0] as Declared;
}

/** Those of a type, `lb/listenerRule:ListenerRule` without the package. */
export const all = (declared: Declared[], type: string): Declared[] =>
  declared.filter((resource) => resource.type === (type.includes(':', type.indexOf(':') + 1) ? type : `aws:${type}`));
