import { serviceEnvironment, type ServiceEnvironment } from '../../../application/environment.ts';
import type { Colour, ServiceSpec } from '../../../model.ts';
import type { FoundationOutputs } from '../../lib/foundation-reference.ts';
import { servicePort } from '../../lib/names.ts';

/** Environment of a service that runs as a task: of a colour or of a preview. Throws an Error where an integration cannot be reached. */
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
      // A stand-in is a process of the machine that runs Greenlight.
      throw new Error(`the integration ${name} has no url: on AWS a stand-in cannot take its place`);
    },
  });
