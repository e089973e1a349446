import type { EnvironmentSpec, ServiceSpec } from '../../../model.ts';
import type { FoundationOutputs } from '../../lib/foundation-reference.ts';
import { servicePort } from '../../lib/names.ts';

/**
 * Environment of a service's task, without secrets. See "Service" in ARCHITECTURE.md: the same as locally, but for where things
 * are. Throws an Error where an integration cannot be reached.
 */
export const serviceEnvironment = (
  { spec, baseUrl }: Pick<FoundationOutputs, 'spec' | 'baseUrl'>,
  service: ServiceSpec,
  { version, colour }: { version: string; colour: string },
): Record<string, string> => ({
  ...service.env,
  ...integrationUrls(spec),
  HOST: '0.0.0.0',
  PORT: String(servicePort),
  PUBLIC_URL: baseUrl,
  GREENLIGHT_VERSION: version,
  GREENLIGHT_COLOUR: colour,
  GREENLIGHT_ENVIRONMENT: spec.environment,
});

/** Stand-ins are processes of the machine that runs Greenlight: tasks cannot reach them. */
function integrationUrls({ integrations }: EnvironmentSpec): Record<string, string> {
  return Object.fromEntries(
    integrations.map(({ name, env, url }) => {
      if (url === undefined)
        throw new Error(`the integration ${name} has no url: on AWS a stand-in cannot take its place`);
      return [env, url];
    }),
  );
}
