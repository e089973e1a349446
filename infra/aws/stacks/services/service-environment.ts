import type { DatabaseFields } from '../../../application/database-url.ts';
import { serviceEnvironment, type ServiceEnvironment } from '../../../application/environment.ts';
import type { Colour, ServiceSpec } from '../../../model.ts';
import type { FoundationOutputs } from '../../lib/foundation-reference.ts';
import { servicePort } from '../../lib/names.ts';

/**
 * Environment variables of a service that runs as a task, in a colour or a preview. Throws an Error if an integration
 * has no URL.
 */
export const taskEnvironment = (
  { spec, baseUrl }: Pick<FoundationOutputs, 'spec' | 'baseUrl'>,
  service: ServiceSpec,
  version: { version: string; colour: Colour | 'preview' },
  database: DatabaseFields,
): ServiceEnvironment =>
  serviceEnvironment(spec, service, version, {
    host: '0.0.0.0',
    port: servicePort,
    publicUrl: baseUrl,
    database,
    // The validator of the definition refuses `application.secrets` on AWS.
    secretOf: () => undefined,
    urlOf: ({ name, url }) => {
      if (url !== undefined) return url;
      // A stand-in is a process on the machine that runs Greenlight, which tasks cannot reach.
      throw new Error(`the integration ${name} has no url: on AWS it needs one, because there are no stand-ins`);
    },
  });
