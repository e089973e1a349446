import type { EnvironmentName } from '../../../model.ts';
import type { FoundationOutputs } from '../../lib/foundation-reference.ts';
import type { AwsSettings } from '../../lib/settings.ts';
import type { Clients } from './clients.ts';

/** What all of the run time is made with. */
export interface Setting {
  clients: Clients;
  environment: EnvironmentName;
  foundation: FoundationOutputs;
  settings: AwsSettings;
}
