import { createLocalPlatform } from '../../infra/local/platform.ts';
import type { Platform } from '../../infra/platform/platform.ts';
import { awsSettingsOf } from '../config/schema-aws.ts';
import type { PlatformName } from '../../infra/model.ts';
import type { ReleaseDefinition } from '../config/schema.ts';

type Redact = (text: string) => string;

const create: Record<PlatformName, (definition: ReleaseDefinition, redact: Redact) => Promise<Platform>> = {
  local: (_, redact) => Promise.resolve(createLocalPlatform({ redact })),
  async aws({ aws }, redact) {
    // The schema wants it where the platform is aws.
    if (aws === undefined) throw new Error('a release definition for aws has no section "aws"');
    // Loaded only where it is used: the packages of AWS are large.
    const { createAwsPlatform } = await import('../../infra/aws/platform.ts');
    return createAwsPlatform({ settingsOf: (environment) => awsSettingsOf(aws, environment), redact });
  },
};

/** The platform that a release definition names. `redact` takes secrets out of the logs of jobs. Calls nothing yet. */
export const choosePlatform = (definition: ReleaseDefinition, redact: Redact): Promise<Platform> =>
  create[definition.platform](definition, redact);
