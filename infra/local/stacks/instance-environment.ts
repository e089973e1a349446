import { databaseUrl } from '../../application/database-url.ts';
import type { Artefact, Colour, EnvironmentSpec, ServiceSpec } from '../../model.ts';
import { applicationDatabase } from '../../application/roles.ts';
import { type Layout, type Ports, searchPath } from '../lib/layout.ts';
import { secretReference } from '../provider/secret-reference.ts';
/** Where integrations are: their own address, or the stand-in's. */
export const integrationUrls = (spec: EnvironmentSpec, ports: Ports): Record<string, string> =>
  Object.fromEntries(
    spec.integrations.map(({ name, env, url }) => [env, url ?? `http://127.0.0.1:${ports.integrations[name]}`]),
  );

export interface Instance {
  spec: EnvironmentSpec;
  ports: Ports;
  service: ServiceSpec;
  colour: Colour;
  port: number;
  artefact: Artefact;
}

/** Environment of one instance: see "Service" in ARCHITECTURE.md. Secrets are references. */
export function instanceEnvironment(layout: Layout, instance: Instance): Record<string, string> {
  const { spec, ports, service, colour, port, artefact } = instance;
  return {
    ...service.env,
    PATH: searchPath(),
    NODE_EXTRA_CA_CERTS: layout.caFile(),
    ...integrationUrls(spec, ports),
    ...(service.database ? { DATABASE_URL: databaseReference(layout, ports, colour) } : {}),
    HOST: '127.0.0.1',
    PORT: String(port),
    PUBLIC_URL: `https://localhost:${ports.https}`,
    GREENLIGHT_VERSION: artefact.version,
    GREENLIGHT_COLOUR: colour,
    GREENLIGHT_ENVIRONMENT: spec.environment,
  };
}

function databaseReference(layout: Layout, ports: Ports, colour: Colour): string {
  const login = (role: 'admin' | 'owner' | 'app') => ({ user: role, password: secretReference(`${colour}-${role}`) });
  const access = {
    host: '127.0.0.1',
    port: ports.database[colour],
    database: applicationDatabase,
    caFile: layout.caFile(),
    admin: login('admin'),
    owner: login('owner'),
    app: login('app'),
  };
  return databaseUrl(access, 'app');
}
