import type { EnvironmentName, EnvironmentSpec } from '../../../infra/model.ts';
import { integrationsOf, postgresOf } from '../../config/platforms.ts';
import type { ReleaseDefinition } from '../../config/schema.ts';

/** What the release definition says of one environment, in the form that the Pulumi programs take. */
export function environmentSpec(definition: ReleaseDefinition, environment: EnvironmentName): EnvironmentSpec {
  const { application, slo, alerts } = definition;
  const sizes = definition.environments[environment];
  return {
    application: application.name,
    environment,
    services: application.services.map((service) => ({
      ...service,
      instances: sizes.instances[service.name] ?? service.instances,
    })),
    integrations: integrationsOf(definition),
    writes: application.writes,
    http: application.http,
    port: sizes.port,
    database: { ...sizes.database, version: postgresOf(definition, environment) },
    slo,
    alertReceivers: alerts.receivers,
  };
}
