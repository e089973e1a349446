import { join } from 'node:path';
import type { EnvironmentName } from '../../../model.ts';
import { projectRoot } from '../../../lib/paths.ts';
import type { EngineSettings } from '../../../platform/engine.ts';
import { toolPath } from '../../../lib/tools.ts';
import { leaseTag } from '../../lib/routing-plan.ts';
import { awsSettingsKey, type AwsSettings } from '../../lib/settings.ts';
import type { Clients } from '../client/clients.ts';
import { cureOf } from '../client/errors.ts';
import { knownId } from './resource-ids.ts';
import { s3StateFiles } from './state-files.ts';

export interface EngineSettingsOptions {
  /** Settings of an environment: they differ in domain and addresses only, so all stacks have one state. */
  settings: (environment: EnvironmentName) => AwsSettings;
  clients: Pick<Clients, 'objects'>;
}

/** The policy pack, which judges every resource before it is created. */
const policyPack = join(projectRoot, 'infra', 'policies', 'pulumi-analyzer-greenlight');

/** What scales or grows by itself, or by a schedule, which the programs ignore as well; and the lease of a hold, which is the run time's. */
export const volatileProperties: EngineSettings['volatile'] = {
  'aws:ecs/service:Service': ['desiredCount'],
  'aws:appautoscaling/target:Target': ['minCapacity', 'maxCapacity'],
  'aws:rds/instance:Instance': ['allocatedStorage'],
  'aws:lb/listenerRule:ListenerRule': [`tags/${leaseTag}`, `tagsAll/${leaseTag}`],
};

/**
 * State in S3, its secrets encrypted by a KMS key. The engine finds region and credentials as every program of AWS does,
 * anew in each run; no secret passes through here. Makes no call.
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

/** URL of a key as Pulumi takes it: an alias is in the host's place, an ARN in the path's. */
export const secretsProvider = (key: string, region: string): string =>
  `awskms://${key.startsWith('arn:') ? '/' : ''}${key}?region=${region}&awssdk=v2`;
