import { colours, type EnvironmentName, type EnvironmentSpec } from '../../../model.ts';
import type { Found } from '../../../platform/platform.ts';
import { databaseIdentifier } from '../../lib/place.ts';
import type { AwsSettings } from '../../lib/settings.ts';
import type { Clients } from '../client/clients.ts';
import { describeInstance } from './instance.ts';
import { calling } from '../client/errors.ts';

/**
 * Databases of an environment that exist in the account. Their names are fixed, so they are found without the engine's
 * state. The live colour cannot be found, because listener and target groups have random names. A colour's database
 * without a record is enough to refuse a release.
 */
export async function findAwsEnvironment(
  clients: Pick<Clients, 'databases'>,
  { accountId, region }: Pick<AwsSettings, 'accountId' | 'region'>,
  environment: EnvironmentName,
  { application }: Pick<EnvironmentSpec, 'application'>,
): Promise<Found> {
  const instances = await Promise.all(
    colours.map(async (colour) => {
      const identifier = databaseIdentifier({ tags: { application }, environment }, colour);
      const instance = await calling(`looking for the database ${identifier}`, () =>
        describeInstance(clients, identifier),
      );
      return { colour, identifier, status: instance?.DBInstanceStatus };
    }),
  );
  const there = instances.filter(({ status }) => status !== undefined);
  return {
    where: `the account ${accountId} in ${region}`,
    live: undefined,
    databases: there.map(({ colour }) => colour),
    versions: {},
    facts: there.map(({ identifier, status }) => `the database instance ${identifier} is ${status}`),
  };
}
