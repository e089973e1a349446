import { serviceEnvironment, type ServiceEnvironment } from '../../../application/environment.ts';
import type { Colour, ServiceSpec } from '../../../model.ts';
import type { FoundationOutputs } from '../../lib/foundation-reference.ts';
import { servicePort } from '../../lib/names.ts';

/**
 * Environment variables of a service that runs as a task, in a colour or a preview. Throws an Error if an integration
 * has no URL.
 */
export const taskEnvironment = <Secret>(
  { spec, baseUrl }: Pick<FoundationOutputs, 'spec' | 'baseUrl'>,
  service: ServiceSpec,
  version: { version: string; colour: Colour | 'preview' },
  databaseUrl: Secret,
): ServiceEnvironment<Secret> =>
  serviceEnvironment(spec, service, version, {
    host: '0.0.0.0',
    port: servicePort,
    publicUrl: baseUrl,
    databaseUrl,
    urlOf: ({ name, url }) => {
      if (url !== undefined) return url;
      // A stand-in is a process on the machine that runs Greenlight, which tasks cannot reach.
      throw new Error(`the integration ${name} has no url: on AWS it needs one, because there are no stand-ins`);
    },
  });
