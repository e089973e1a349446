import type { EnvironmentName, EnvironmentSpec } from '../../../infra/model.ts';
import { integrationsOf, postgresOf } from '../../config/platforms.ts';
import type { ReleaseDefinition } from '../../config/schema.ts';

/** What the release definition says of one environment, in the form that the Pulumi programs take. */
export function environmentSpec(definition: ReleaseDefinition, environment: EnvironmentName): EnvironmentSpec {
  const { application, slo, alerts } = definition;
  const sizes = definition.environments[environment];
  const sized = <T extends { name: string; instances: number }>(programs: T[]): T[] =>
    programs.map((program) => ({ ...program, instances: sizes.instances[program.name] ?? program.instances }));
  const image = defaultImage(application);
  const inImage = <T extends { image?: string | undefined }>(program: T): T =>
    program.image === undefined && image !== undefined ? { ...program, image } : program;
  return {
    application: application.name,
    environment,
    services: sized(application.services).map((service) => ({ ...service, start: service.start ?? [] })),
    // Left out where there are none: an environment of an earlier version is then not changed.
    ...whereAny('workers', sized(application.workers).map(inImage)),
    ...whereAny('schedules', application.schedules.map(inImage)),
    ...whereAny('files', application.files),
    integrations: integrationsOf(definition),
    writes: application.writes,
    http: application.http,
    port: sizes.port,
    database: { ...sizes.database, version: postgresOf(definition, environment) },
    slo,
    alertReceivers: alerts.receivers,
  };
}

/** The service in whose image a command runs that names none. Undefined: in the artefact, which a build has written. */
function defaultImage({ build, jobs, services }: ReleaseDefinition['application']): string | undefined {
  if (build !== undefined) return undefined;
  return jobs.image ?? services.find((service) => service.image !== undefined)?.name;
}

const whereAny = <Key extends string, T>(key: Key, all: T[]): { [key in Key]?: T[] } =>
  (all.length === 0 ? {} : { [key]: all }) as { [key in Key]?: T[] };
