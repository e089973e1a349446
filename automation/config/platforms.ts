import type { EnvironmentName, IntegrationSpec, PlatformName } from '../../infra/model.ts';
import { dockerfilePath } from '../../infra/aws/lib/settings.ts';
import type { ReleaseDefinition } from './schema.ts';

/** How one platform interprets a definition. */
interface Meaning {
  /** Files of the project that the platform reads: setting and path. */
  files(definition: ReleaseDefinition): [string, string | undefined][];
  integrations(definition: ReleaseDefinition): IntegrationSpec[];
  /** Major version of PostgreSQL that new databases have; undefined where the definition leaves it open. */
  postgres(definition: ReleaseDefinition, environment: EnvironmentName): number | undefined;
}

const meanings: Record<PlatformName, Meaning> = {
  local: {
    files: () => [],
    integrations: ({ application }) => application.integrations,
    postgres: ({ environments }, environment) => environments[environment].database.version,
  },
  aws: {
    files: ({ aws }) => [
      ['aws.image.dockerfile', aws && dockerfilePath(aws.image)],
      ['aws.authorities.entry', aws?.authorities.entry],
      ['aws.authorities.databases', aws?.authorities.databases],
    ],
    // A stand-in on this machine is not reachable from AWS, so each integration has the address of the definition.
    integrations: ({ application, aws }) =>
      application.integrations.map(({ standIn: _local, ...integration }) => {
        const url = aws?.integrations[integration.name] ?? integration.url;
        return { ...integration, ...(url === undefined ? {} : { url }) };
      }),
    // The engine gives a database its version there, and RDS refuses another major one.
    postgres: () => undefined,
  },
};

export const filesOf = (definition: ReleaseDefinition): [string, string | undefined][] =>
  meanings[definition.platform].files(definition);

/** The application's integrations, with the addresses that its services get. */
export const integrationsOf = (definition: ReleaseDefinition): IntegrationSpec[] =>
  meanings[definition.platform].integrations(definition);

/** The major version of PostgreSQL that a database gets when it is made; undefined where the definition leaves it open. */
export const postgresOf = (definition: ReleaseDefinition, environment: EnvironmentName): number | undefined =>
  meanings[definition.platform].postgres(definition, environment);
