import type { OperationError } from '../../errors.ts';
import type { AwsSettings } from '../settings.ts';
import type { Clients } from './clients.ts';
import { asOperationError } from './errors.ts';

/** What the checks of an account need. */
export interface Account {
  clients: Pick<Clients, 'identity' | 'network' | 'names' | 'objects' | 'databases'>;
  settings: Pick<AwsSettings, 'accountId' | 'region' | 'availabilityZones' | 'hostedZoneId' | 'domain' | 'state'>;
}

export const sentence = ({ doing, found, todo }: OperationError): string => `${doing}: ${found}; ${todo}`;

/** Runs a check; what AWS refuses becomes the sentence. `todo`: where its code is none that always means the same. */
export async function checking(doing: string, todo: string, check: () => Promise<string[]>): Promise<string[]> {
  try {
    return await check();
  } catch (error) {
    return [sentence(asOperationError(doing, error, todo))];
  }
}
