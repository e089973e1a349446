import { GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { OperationError } from '../../errors.ts';
import type { EnvironmentName, EnvironmentSpec } from '../../model.ts';
import type { Environment, Platform, StackOutputs } from '../../platform.ts';
import { estimate, summariseCost } from '../estimate.ts';
import type { FoundationOutputs } from '../foundation-reference.ts';
import type { AwsSettings } from '../settings.ts';
import { refuseStranger } from './account.ts';
import { createAwsAlerts } from './alerts.ts';
import { createAwsArtefacts } from './artefacts.ts';
import { createAwsBackups } from './backups.ts';
import { createClients, emulatorEndpoint, type Clients } from './clients.ts';
import { createAwsDatabases } from './databases.ts';
import { awsEngineSettings } from './engine-settings.ts';
import { calling, hasExpired } from './errors.ts';
import { findAwsEnvironment } from './found.ts';
import { createAwsImages } from './images.ts';
import { createAwsInstances } from './instances.ts';
import { createAwsJobs } from './jobs.ts';
import { sweepTasks } from './job-sweep.ts';
import { listenerRules } from './listener-rules.ts';
import { s3Leases } from './leases.ts';
import { createAwsMetrics } from './metrics.ts';
import { createAwsPreviews } from './previews.ts';
import { inOwnAccount } from './own-account.ts';
import { awsProblems } from './problems.ts';
import { s3Records } from './records.ts';
import { createAwsRouter } from './router.ts';
import type { Setting } from './scratch.ts';
import { createTargetGroups } from './target-groups.ts';

export interface AwsPlatformOptions {
  settingsOf: (environment: EnvironmentName) => AwsSettings;
  /** Takes secrets out of the logs of jobs. */
  redact?: (text: string) => string;
}

/** An emulator answers at once: it need not be asked as rarely as AWS, whose instances take minutes. */
const emulatorWaits = { pollMs: 250 };

/** ECS, ALB and RDS in one account. Makes no call by itself: what is wrong with the account, `problems` says. */
export function createAwsPlatform({ settingsOf, redact }: AwsPlatformOptions): Platform {
  const common = settingsOf('production');
  const clients = createClients({ region: common.region });
  const emulatedBy = emulatorEndpoint();
  const waits = emulatedBy === undefined ? {} : emulatorWaits;
  const { bucket } = common.state;
  return {
    name: 'aws',
    ...(emulatedBy === undefined ? {} : { emulatedBy }),
    engine: awsEngineSettings({ settings: settingsOf, clients }),
    artefacts: createAwsArtefacts({ clients, bucket, key: common.state.key }),
    // An instance of RDS takes a quarter of an hour to make, and production's is protected from deletion.
    idleColour: 'database stays',
    wipesAll: false,
    shared: inOwnAccount({ ...s3Leases(clients.objects, bucket), ...s3Records(clients.objects, bucket) }, () =>
      refuseStranger({ clients, settings: common }),
    ),
    problems: () => awsProblems({ clients, settings: common }),
    stopsHere: hasExpired,
    cost: async (environment, spec) =>
      summariseCost(await estimate({ environment, spec, settings: settingsOf(environment) })),
    async connect(environment, spec, outputs) {
      const foundation = await readFoundation(environment, outputs);
      const setting = { clients, environment, foundation, settings: settingsOf(environment) };
      return connect(setting, spec, outputs, { waits, ...(redact === undefined ? {} : { redact }) });
    },
    found: (environment, spec) => findAwsEnvironment(clients, settingsOf(environment), environment, spec),
    // What the stacks do not hold is temporary, and swept by each command that connects.
    wipe: () => Promise.resolve([]),
  };
}

async function readFoundation(environment: EnvironmentName, outputs: StackOutputs): Promise<FoundationOutputs> {
  const { foundation } = await outputs('foundation');
  if (foundation !== undefined) return foundation as FoundationOutputs;
  throw new OperationError(
    `connecting to ${environment}`,
    'its foundation was never up as a whole',
    'run: npm run resume, or npm run release',
  );
}

interface Ways {
  waits: { pollMs?: number };
  redact?: (text: string) => string;
}

async function connect(
  setting: Setting,
  spec: EnvironmentSpec,
  outputs: StackOutputs,
  ways: Ways,
): Promise<Environment> {
  const { clients, environment, foundation, settings } = setting;
  const { entry } = settings.authorities;
  const routeSecret = await secretValue(clients, foundation.routeSecretArn);
  const groups = createTargetGroups(clients.balancer);
  const targetGroups = async () =>
    groups.of(
      await calling('reading the rules of the load balancer', () => listenerRules(clients, foundation.listenerArn)),
    );
  const databases = createAwsDatabases({ ...setting, outputs, ...ways });
  const backups = createAwsBackups({ ...setting, outputs, databases, ...ways });
  const images = createAwsImages(setting);
  const previews = createAwsPreviews({ ...setting, ...ways });
  const jobs = createAwsJobs({ ...setting, ...ways });
  const { periodSeconds, delaySeconds } = settings.metrics;
  return {
    name: environment,
    router: createAwsRouter({
      clients, foundation, spec, routeSecret, targetGroups: groups, ...(entry === undefined ? {} : { caFile: entry }),
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
    instances: createAwsInstances({ clients, foundation, spec, targetGroups, ...ways.waits }),
    previews: {
      async serve(artefact, access) {
        await images.provide(artefact);
        return previews.serve(artefact, access);
      },
    },
    provide: (artefact) => images.provide(artefact),
    async sweep() {
      // Tasks first: what they use can only be deleted then.
      const tasks = await sweepTasks(setting);
      const rest = await Promise.all([previews.sweep(), databases.sweep(), backups.sweep()]);
      return [...tasks, ...rest.flat()];
    },
    // Secrets, ports and volumes are resources here: the rules of the policy pack judge them.
    audit: () => Promise.resolve({}),
    close: () => Promise.resolve(),
  }; // prettier-ignore
}

async function secretValue({ secrets }: Clients, SecretId: string): Promise<string> {
  const { SecretString } = await calling("reading the header route's secret", () =>
    secrets.send(new GetSecretValueCommand({ SecretId })),
  );
  return SecretString ?? '';
}
