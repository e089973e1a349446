import { GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { OperationError } from '../lib/errors.ts';
import { stackKinds, type EnvironmentName, type EnvironmentSpec } from '../model.ts';
import type { Environment } from '../platform/environment.ts';
import type { Platform, StackOutputs } from '../platform/platform.ts';
import { estimate, renderEstimate, summariseCost } from './cost/estimate.ts';
import { declareApart } from './declared/resource-tree.ts';
import type { FoundationOutputs } from './lib/foundation-reference.ts';
import type { AwsSettings } from './lib/settings.ts';
import { refuseStranger, awsProblems } from './runtime/account/account.ts';
import { createAwsAlerts } from './runtime/metrics/alerts.ts';
import { createAwsArtefacts } from './runtime/jobs/artefacts.ts';
import { createAwsBackups } from './runtime/backups/backups.ts';
import { createClients, emulatorEndpoint, type Clients } from './runtime/client/clients.ts';
import { createAwsDatabases } from './runtime/databases/databases.ts';
import { awsEngineSettings } from './runtime/engine/engine-settings.ts';
import { calling, hasExpired } from './runtime/client/errors.ts';
import { findAwsEnvironment } from './runtime/databases/found.ts';
import { createAwsImages } from './runtime/jobs/images.ts';
import { createAwsInstances } from './runtime/instances/instances.ts';
import { createAwsJobs } from './runtime/jobs/jobs.ts';
import { sweepTasks } from './runtime/jobs/sweep.ts';
import { listenerRules, createTargetGroups } from './runtime/router/target-groups.ts';
import { s3Leases, inOwnAccount } from './runtime/shared/leases.ts';
import { createAwsMetrics } from './runtime/metrics/metrics.ts';
import { createAwsPreviews } from './runtime/jobs/previews.ts';
import { s3Records } from './runtime/shared/records.ts';
import { createAwsRouter, defaultObserveMs } from './runtime/router/router.ts';
import type { Setting } from './runtime/client/setting.ts';

export interface AwsPlatformOptions {
  settingsOf: (environment: EnvironmentName) => AwsSettings;
  /** Removes secrets from the logs of jobs. */
  redact?: (text: string) => string;
}

/** For an emulator, which answers at once. The default intervals suit AWS, whose instances take minutes. */
const emulatorWaits = { pollMs: 250 };

/** ECS, ALB and RDS in one account. Creating the platform makes no call to AWS; `problems` checks the account. */
export function createAwsPlatform({ settingsOf, redact }: AwsPlatformOptions): Platform {
  const common = settingsOf('production');
  const clients = createClients({ region: common.region });
  const emulatedBy = emulatorEndpoint();
  const waits = emulatedBy === undefined ? {} : emulatorWaits;
  const { bucket } = common.state;
  return {
    name: 'aws',
    emulatedBy,
    engine: awsEngineSettings({ settings: settingsOf, clients }),
    artefacts: createAwsArtefacts({ clients, bucket, key: common.state.key }),
    // Creating an RDS instance takes about 15 minutes, and production's is protected from deletion.
    idleColour: 'database stays',
    initialCopy: 'logical',
    endsLong: false,
    heldWrites: 'get 503 with Retry-After, also until the balancer is seen to route to the new colour',
    settlesMs: defaultObserveMs,
    noEstimate: 'on AWS a database alone takes 5 to 15 minutes',
    remote: true,
    loadImage: common.image.k6,
    wipesAll: false,
    shared: inOwnAccount({ ...s3Leases(clients.objects, bucket), ...s3Records(clients.objects, bucket) }, () =>
      refuseStranger({ clients, settings: common }),
    ),
    problems: () => awsProblems({ clients, settings: common }),
    stopsHere: hasExpired,
    cost: async (environment, spec) =>
      summariseCost(await estimate({ environment, spec, settings: settingsOf(environment) })),
    estimate: async (environment, spec) =>
      renderEstimate(await estimate({ environment, spec, settings: settingsOf(environment) })),
    async declared(environment, spec) {
      const settings = settingsOf(environment);
      const stacks = await declareApart(spec, settings);
      const resources = stackKinds.flatMap((kind) =>
        stacks[kind].map(({ type, name, inputs }) => ({ type, name, props: inputs })),
      );
      return { resources, words: [settings.domain, environment] };
    },
    async connect(environment, spec, outputs) {
      const foundation = await readFoundation(environment, outputs);
      const setting = { clients, environment, foundation, settings: settingsOf(environment) };
      return connect(setting, spec, outputs, { waits, redact });
    },
    found: (environment, spec) => findAwsEnvironment(clients, settingsOf(environment), environment, spec),
    // Whatever is outside the stacks is temporary, and every command that connects removes it (`sweep`).
    wipe: () => Promise.resolve([]),
  };
}

async function readFoundation(environment: EnvironmentName, outputs: StackOutputs): Promise<FoundationOutputs> {
  const { foundation } = await outputs('foundation');
  if (foundation !== undefined) return foundation as FoundationOutputs;
  throw new OperationError(
    `connecting to ${environment}`,
    'its foundation stack has never come up completely',
    'run: npm run resume, or npm run release',
  );
}

interface ConnectOptions {
  waits: { pollMs?: number };
  redact?: (text: string) => string;
}

async function connect(
  setting: Setting,
  spec: EnvironmentSpec,
  outputs: StackOutputs,
  options: ConnectOptions,
): Promise<Environment> {
  const { clients, environment, foundation, settings } = setting;
  const { entry } = settings.authorities;
  const routeSecret = await secretValue(clients, foundation.routeSecretArn);
  const groups = createTargetGroups(clients.balancer);
  const targetGroups = async () =>
    groups.of(
      await calling('reading the rules of the load balancer', () => listenerRules(clients, foundation.listenerArn)),
    );
  const databases = createAwsDatabases({ ...setting, outputs, ...options });
  const backups = createAwsBackups({ ...setting, outputs, databases, ...options });
  const images = createAwsImages(setting);
  const previews = createAwsPreviews({ ...setting, ...options });
  const jobs = createAwsJobs({ ...setting, ...options });
  const { periodSeconds, delaySeconds } = settings.metrics;
  return {
    name: environment,
    router: createAwsRouter({
      clients,
      foundation,
      spec,
      routeSecret,
      targetGroups: groups,
      caFile: entry,
    }),
    databases,
    backups,
    jobs: {
      async run(job) {
        if (job.image === undefined) await images.provide(job.artefact);
        return jobs.run(job);
      },
    },
    metrics: createAwsMetrics({ clients, foundation, targetGroups, periodSeconds, delayMs: delaySeconds * 1000 }),
    alerts: createAwsAlerts({ clients, foundation, spec }),
    instances: createAwsInstances({ clients, foundation, spec, targetGroups, ...options.waits }),
    previews: {
      async serve(artefact, access) {
        await images.provide(artefact);
        return previews.serve(artefact, access);
      },
    },
    provide: (artefact) => images.provide(artefact),
    async sweep() {
      // Tasks first: what they use can be deleted only after they have stopped.
      const tasks = await sweepTasks(setting);
      const rest = await Promise.all([previews.sweep(), databases.sweep(), backups.sweep()]);
      return [...tasks, ...rest.flat()];
    },
    // Nothing to check at run time: secrets, ports and volumes are Pulumi resources, which the policy pack judges.
    audit: () => Promise.resolve({}),
    close: () => Promise.resolve(),
  };
}

async function secretValue({ secrets }: Clients, SecretId: string): Promise<string> {
  const { SecretString } = await calling("reading the header route's secret", () =>
    secrets.send(new GetSecretValueCommand({ SecretId })),
  );
  return SecretString ?? '';
}
