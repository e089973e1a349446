import { createLocalPlatform } from '../../infra/local/platform.ts';
import type { Platform } from '../../infra/platform/platform.ts';
import { awsSettingsOf } from '../config/schema-aws.ts';
import type { ReleaseDefinition } from '../config/schema.ts';

/** The platform that a release definition names. `redact` takes secrets out of the logs of jobs. Calls nothing yet. */
export async function choosePlatform(
  { platform, aws }: ReleaseDefinition,
  redact: (text: string) => string,
): Promise<Platform> {
  if (platform === 'local' || aws === undefined) return createLocalPlatform({ redact });
  // Loaded only where it is used: the packages of AWS are large.
  const { createAwsPlatform } = await import('../../infra/aws/platform.ts');
  return createAwsPlatform({ settingsOf: (environment) => awsSettingsOf(aws, environment), redact });
}
