import type { EnvironmentName } from '../../../model.ts';
import type { FoundationOutputs } from '../../lib/foundation-reference.ts';
import type { AwsSettings } from '../../lib/settings.ts';
import type { Clients } from './clients.ts';

/** What every part of the runtime needs. */
export interface Setting {
  clients: Clients;
  environment: EnvironmentName;
  foundation: FoundationOutputs;
  settings: AwsSettings;
}
