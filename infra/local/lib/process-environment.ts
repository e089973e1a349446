import { serviceEnvironment, type ServicePlace } from '../../application/environment.ts';
import type { Colour, EnvironmentSpec, ServiceSpec } from '../../model.ts';
import { searchPath, type Layout, type Ports } from './layout.ts';

export interface ServiceProcess extends Pick<ServicePlace, 'port' | 'publicUrl' | 'database' | 'secretOf'> {
  spec: EnvironmentSpec;
  ports: Pick<Ports, 'integrations'>;
  /** A service, worker or schedule. */
  service: Pick<ServiceSpec, 'env' | 'database'>;
  version: string;
  colour: Colour | 'preview';
  /** Where the directories of `files` are, by name. Absent: those of the environment. */
  filesAt?: (name: string) => string;
}

/** Environment variables of a service that runs as a local process: an instance or a preview. */
export function processEnvironment(layout: Layout, of: ServiceProcess): Record<string, string> {
  const { variables, secrets } = serviceEnvironment(of.spec, of.service, of, {
    ...of,
    host: '127.0.0.1',
    urlOf: ({ name, url }) => url ?? `http://127.0.0.1:${of.ports.integrations[name]}`,
    caFile: layout.caFile(),
    files: (of.spec.files ?? []).map((one) => ({ ...one, path: (of.filesAt ?? layout.files)(one.name) })),
    searchPath: searchPath(),
  });
  return { ...variables, ...secrets };
}

/** Variables that processes inherit from the session that starts them. */
export function sessionVariables(): Record<string, string | undefined> {
  const { HOME, TZ, LANG = 'C.UTF-8' } = process.env;
  return { HOME, TZ, LANG };
}
