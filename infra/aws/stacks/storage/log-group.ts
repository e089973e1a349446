import type * as pulumi from '@pulumi/pulumi';
import { LogGroup } from '@pulumi/aws/cloudwatch/logGroup.js';
import type { Place } from '../../lib/place.ts';

type LogPlace = { settings: { logDays: number }; tags: Place['tags'] };

/**
 * A log group with a retention, encrypted with `keyArn`. AWS's default is to keep logs, and to charge for them, for
 * ever.
 */
export const logGroup = (
  resource: string,
  { name, place, keyArn }: { name: string; place: LogPlace; keyArn: pulumi.Input<string> },
  parent: pulumi.Resource,
): LogGroup =>
  new LogGroup(
    resource,
    { name, retentionInDays: place.settings.logDays, kmsKeyId: keyArn, tags: place.tags },
    { parent },
  );
