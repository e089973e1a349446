import type { Colour, IntegrationSpec, ServiceSpec } from '../model.ts';

/** Platform-specific values for a service's environment. */
export interface ServicePlace<Secret> {
  host: string;
  /** Absent: the program listens nowhere, as a worker. */
  port?: number | undefined;
  /** The entry point through which the services of this version reach each other. */
  publicUrl: string;
  urlOf: (integration: IntegrationSpec) => string;
  /** `DATABASE_URL`, or the platform's reference to it. It contains a password. */
  databaseUrl: Secret;
  /** PEM file of the authority that signed the entry point's certificate. Absent: the machine trusts it already. */
  caFile?: string;
  /** Path of each directory of `files`, by its variable. */
  files?: Record<string, string>;
  /** `PATH`. Absent: the image defines it. */
  searchPath?: string;
}

export interface ServiceEnvironment<Secret> {
  variables: Record<string, string>;
  /** Separate, because a platform may pass them in another way than the variables. */
  secrets: Record<string, Secret>;
}

/**
 * Environment variables of a service, for instances and previews of every platform. The contract is in
 * `docs/architecture/contract.md`. `service.env` cannot override a variable that Greenlight sets.
 */
export function serviceEnvironment<Secret>(
  { environment, integrations }: { environment: string; integrations: IntegrationSpec[] },
  service: Pick<ServiceSpec, 'env' | 'database'>,
  { version, colour }: { version: string; colour: Colour | 'preview' },
  place: ServicePlace<Secret>,
): ServiceEnvironment<Secret> {
  const secrets: Record<string, Secret> = service.database ? { DATABASE_URL: place.databaseUrl } : {};
  const own = Object.entries(service.env).filter(([name]) => !Object.hasOwn(secrets, name));
  const variables = {
    ...Object.fromEntries(own),
    ...Object.fromEntries(integrations.map((integration) => [integration.env, place.urlOf(integration)])),
    ...place.files,
    ...(place.searchPath === undefined ? {} : { PATH: place.searchPath }),
    ...(place.caFile === undefined ? {} : { NODE_EXTRA_CA_CERTS: place.caFile }),
    ...(place.port === undefined ? {} : { HOST: place.host, PORT: String(place.port) }),
    PUBLIC_URL: place.publicUrl,
    GREENLIGHT_VERSION: version,
    GREENLIGHT_COLOUR: colour,
    GREENLIGHT_ENVIRONMENT: environment,
  };
  return { variables, secrets };
}
