import type { Colour, IntegrationSpec, ServiceSpec } from '../model.ts';
import type { DatabaseFields } from './database-url.ts';
import { fill, isSecret, secretNamed, usesDatabase } from './template.ts';

/** Platform-specific values for a service's environment. */
export interface ServicePlace {
  host: string;
  /** Absent: the program listens nowhere, as a worker. */
  port?: number | undefined;
  /** The entry point through which the services of this version reach each other. */
  publicUrl: string;
  urlOf: (integration: IntegrationSpec) => string;
  /** The service's login to its database, or the platform's references to it. */
  database: DatabaseFields;
  /** Value of a secret of the application, or the platform's reference to it. Undefined: there is none of this name. */
  secretOf: (name: string) => string | undefined;
  /** PEM file of the authority that signed the entry point's certificate. Absent: the machine trusts it already. */
  caFile?: string;
  /** The directories of `files`. */
  files?: { name: string; env?: string | undefined; path: string }[];
  /** `PATH`. Absent: the image defines it. */
  searchPath?: string;
}

export interface ServiceEnvironment {
  variables: Record<string, string>;
  /** Those that contain a secret or a password. Separate, because a platform may pass them in another way than the variables. */
  secrets: Record<string, string>;
}

/**
 * Environment variables of a service, for instances and previews of every platform. The contract is in
 * `docs/architecture/contract.md`. `service.env` may say HOST, PORT, PUBLIC_URL and DATABASE_URL itself, and overrides no other
 * variable that Greenlight sets.
 */
export function serviceEnvironment(
  { environment, integrations }: { environment: string; integrations: IntegrationSpec[] },
  service: Pick<ServiceSpec, 'env' | 'database'>,
  { version, colour }: { version: string; colour: Colour | 'preview' },
  place: ServicePlace,
): ServiceEnvironment {
  const { host, publicUrl } = place;
  const { port, files = [] } = place;
  const listens: Record<string, string> = port === undefined ? {} : { host, port: String(port) };
  const paths = Object.fromEntries(files.map(({ name, path }) => [`files.${name}`, path]));
  const known = { ...listens, ...paths, publicUrl, version, colour, environment };
  const ownUrl: Record<string, string> = service.database ? { DATABASE_URL: '${database.url}' } : {};
  const address: Record<string, string> = port === undefined ? {} : { HOST: '${host}', PORT: '${port}' };
  const wanted = { ...address, PUBLIC_URL: '${publicUrl}', ...ownUrl, ...service.env };
  const own = filled(wanted, { known, database: place.database, secretOf: place.secretOf });
  const fixed: Record<string, string> = {
    ...Object.fromEntries(integrations.map((integration) => [integration.env, place.urlOf(integration)])),
    ...Object.fromEntries(files.flatMap(({ env, path }) => (env === undefined ? [] : [[env, path]]))),
    ...(place.searchPath === undefined ? {} : { PATH: place.searchPath }),
    ...(place.caFile === undefined ? {} : { NODE_EXTRA_CA_CERTS: place.caFile }),
    GREENLIGHT_VERSION: version,
    GREENLIGHT_COLOUR: colour,
    GREENLIGHT_ENVIRONMENT: environment,
  };
  const secrets = Object.entries(own.secrets).filter(([name]) => !Object.hasOwn(fixed, name));
  return { variables: { ...own.variables, ...fixed }, secrets: Object.fromEntries(secrets) };
}

/** What a job is told by `application.jobs.env`. */
export interface JobPlace {
  version: string;
  environment: string;
  /** Login of the role that the job has. Absent: it has no database, and gets no variable that names it. */
  database?: DatabaseFields;
  secretOf: (name: string) => string | undefined;
}

/** Environment variables of a job by `application.jobs.env`. */
export function jobEnvironment(own: Record<string, string>, place: JobPlace): Record<string, string> {
  const { version, environment, database, secretOf } = place;
  const usable = Object.entries(own).filter(([, template]) => database !== undefined || !usesDatabase(template));
  const values = filled(Object.fromEntries(usable), { known: { version, environment }, database, secretOf });
  return { ...values.variables, ...values.secrets };
}

interface Known {
  known: Record<string, string>;
  database: DatabaseFields | undefined;
  secretOf: (name: string) => string | undefined;
}

function filled(templates: Record<string, string>, { known, database, secretOf }: Known): ServiceEnvironment {
  const fields = Object.entries(database ?? {}).map(([name, value]) => [`database.${name}`, value as string] as const);
  const values = new Map([...Object.entries(known), ...fields]);
  const valueOf = (name: string): string | undefined => {
    const secret = secretNamed(name);
    return secret === undefined ? values.get(name) : secretOf(secret);
  };
  const all = Object.entries(templates).map(([name, template]) => ({
    secret: isSecret(template),
    entry: [name, fill(template, valueOf)] as const,
  }));
  const of = (secret: boolean) =>
    Object.fromEntries(all.filter((one) => one.secret === secret).map(({ entry }) => entry));
  return { variables: of(false), secrets: of(true) };
}
