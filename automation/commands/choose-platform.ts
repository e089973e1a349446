import { createLocalPlatform } from '../../infra/local/platform.ts';
import type { Platform } from '../../infra/platform/platform.ts';
import { awsSettingsOf } from '../config/schema-aws.ts';
import type { PlatformName } from '../../infra/model.ts';
import type { ReleaseDefinition } from '../config/schema.ts';

type Redact = (text: string) => string;

const create: Record<PlatformName, (definition: ReleaseDefinition, redact: Redact) => Promise<Platform>> = {
  local: ({ environments: { staging, production } }, redact) =>
    Promise.resolve(
      createLocalPlatform({ redact, entryPorts: { staging: staging.port, production: production.port } }),
    ),
  async aws({ aws }, redact) {
    // The schema requires it for this platform.
    if (aws === undefined) throw new Error('a release definition for aws has no section "aws"');
    // Imported only if needed, because the AWS packages are large.
    const { createAwsPlatform } = await import('../../infra/aws/platform.ts');
    return createAwsPlatform({ settingsOf: (environment) => awsSettingsOf(aws, environment), redact });
  },
};

/**
 * The platform that a release definition names. `redact` masks secrets in the logs of jobs. Makes no call to the
 * platform.
 */
export const choosePlatform = (definition: ReleaseDefinition, redact: Redact): Promise<Platform> =>
  create[definition.platform](definition, redact);
