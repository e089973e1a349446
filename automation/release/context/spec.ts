import type { EnvironmentName, EnvironmentSpec } from '../../../infra/model.ts';
import { integrationsOf, postgresOf } from '../../config/platforms.ts';
import type { ReleaseDefinition } from '../../config/schema.ts';

/** What the release definition says of one environment, in the form that the Pulumi programs take. */
export function environmentSpec(definition: ReleaseDefinition, environment: EnvironmentName): EnvironmentSpec {
  const { application, slo, alerts } = definition;
  const sizes = definition.environments[environment];
  const sized = <T extends { name: string; instances: number }>(programs: T[]): T[] =>
    programs.map((program) => ({ ...program, instances: sizes.instances[program.name] ?? program.instances }));
  return {
    application: application.name,
    environment,
    services: sized(application.services),
    // Left out where there are none: an environment of an earlier version is then not changed.
    ...whereAny('workers', sized(application.workers)),
    ...whereAny('schedules', application.schedules),
    ...whereAny('files', application.files),
    integrations: integrationsOf(definition),
    writes: application.writes,
    port: sizes.port,
    database: { ...sizes.database, version: postgresOf(definition, environment) },
    slo,
    alertReceivers: alerts.receivers,
  };
}

const whereAny = <Key extends string, T>(key: Key, all: T[]): { [key in Key]?: T[] } =>
  (all.length === 0 ? {} : { [key]: all }) as { [key in Key]?: T[] };
