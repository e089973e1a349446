import type { EnvironmentName, EnvironmentSpec, IntegrationSpec } from '../../../infra/model.ts';
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
    integrations: definition.platform === 'aws' ? reachable(definition) : application.integrations,
    writes: application.writes,
    port: sizes.port,
    database: sizes.database,
    slo,
    alertReceivers: alerts.receivers,
  };
}

/** On AWS a stand-in of this machine cannot take a third party's place: each has the address that the definition gives. */
const reachable = ({ application, aws }: ReleaseDefinition): IntegrationSpec[] =>
  application.integrations.map(({ standIn: _local, ...integration }) => {
    const url = aws?.integrations[integration.name] ?? integration.url;
    return { ...integration, ...(url === undefined ? {} : { url }) };
  });
