import { join } from 'node:path';
import type { EnvironmentName } from '../../../model.ts';
import { packageRoot } from '../../../lib/paths.ts';
import type { EngineSettings } from '../../../platform/engine.ts';
import { toolPath } from '../../../lib/tools.ts';
import { leaseTag } from '../../lib/routing-plan.ts';
import { awsSettingsKey, type AwsSettings } from '../../lib/settings.ts';
import type { Clients } from '../client/clients.ts';
import { cureOf } from '../client/errors.ts';
import { knownId } from './resource-ids.ts';
import { s3StateFiles } from './state-files.ts';

export interface EngineSettingsOptions {
  /** Settings of an environment. Environments differ only in domain and addresses, so all stacks share one state. */
  settings: (environment: EnvironmentName) => AwsSettings;
  clients: Pick<Clients, 'objects'>;
}

/** The policy pack, which judges every resource before it is created. */
const policyPack = join(packageRoot, 'infra', 'policies', 'pulumi-analyzer-greenlight');

/**
 * Properties that change outside of Pulumi: by autoscaling and schedules, which the programs ignore as well, and the
 * lease of a write hold, which the runtime sets.
 */
export const volatileProperties: EngineSettings['volatile'] = {
  'aws:ecs/service:Service': ['desiredCount'],
  'aws:appautoscaling/target:Target': ['minCapacity', 'maxCapacity'],
  'aws:rds/instance:Instance': ['allocatedStorage'],
  'aws:lb/listenerRule:ListenerRule': [`tags/${leaseTag}`, `tagsAll/${leaseTag}`],
};

/**
 * State in S3, with secrets encrypted by a KMS key. The engine finds region and credentials itself in each run, like
 * every AWS tool, so no secret passes through this code. Makes no call.
 */
export function awsEngineSettings({ settings, clients }: EngineSettingsOptions): EngineSettings {
  const { region, accountId, state } = settings('production');
  return {
    backendUrl: `s3://${state.bucket}?region=${region}&awssdk=v2`,
    state: s3StateFiles(clients.objects, state.bucket),
    secretsProvider: secretsProvider(state.key, region),
    stackConfig: (environment) => ({ [`greenlight:${awsSettingsKey}`]: JSON.stringify(settings(environment)) }),
    policyPacks: [policyPack],
    idOf: (resource) => knownId(resource, { region, accountId }),
    volatile: volatileProperties,
    cure: cureOf,
    env: { AWS_REGION: region },
    pulumiCommand: toolPath('pulumi'),
    plugins: [],
  };
}

/** URL of a key in Pulumi's form: an alias takes the place of the host, an ARN that of the path. */
export const secretsProvider = (key: string, region: string): string =>
  `awskms://${key.startsWith('arn:') ? '/' : ''}${key}?region=${region}&awssdk=v2`;
