import { DescribeAvailabilityZonesCommand } from '@aws-sdk/client-ec2';
import { DescribeAccountAttributesCommand } from '@aws-sdk/client-rds';
import { GetHostedZoneCommand } from '@aws-sdk/client-route-53';
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { OperationError } from '../../errors.ts';
import { checkStateBucket } from './account-bucket.ts';
import { checking, type Account } from './checks.ts';
import { asOperationError, codeOf, logInAgain } from './errors.ts';

interface Asked {
  clients: Pick<Account['clients'], 'identity'>;
  settings: Pick<Account['settings'], 'accountId' | 'region'>;
}

/**
 * What is wrong with an account before anything in it is changed: a sentence each, with what to do. Reads only. Who it is
 * comes first: where that is wrong, nothing else is asked, and the only sentence says so.
 */
export async function checkAccount(account: Account): Promise<string[]> {
  const stranger = await checkIdentity(account);
  if (stranger.length > 0) return stranger;
  const checks = [checkZones, checkHostedZone, checkStateBucket, checkQuotas];
  const found = await Promise.all(checks.map((check) => check(account)));
  const all = found.flat();
  // A token that ends meanwhile stops them all, and is said once.
  const over = all.find((each) => each.includes(logInAgain));
  return over === undefined ? all : [over];
}

const checkIdentity = (account: Account): Promise<string[]> =>
  checking('asking AWS who this is', '', async () => {
    await refuseStranger(account);
    return [];
  });

/** Rejects with an OperationError where the credentials are those of another account, or of nobody. */
export async function refuseStranger({ clients, settings }: Asked): Promise<void> {
  const { accountId, region } = settings;
  const doing = 'asking AWS who this is';
  const { Account: found, Arn } = await clients.identity.send(new GetCallerIdentityCommand({})).catch((error: unknown) => {
    const { found: said, todo } = asOperationError(doing, error, `see that the region ${region} is right`);
    // A region that an account has not enabled answers as if the credentials were wrong.
    const hint = /InvalidClientTokenId|UnrecognizedClient/.test(codeOf(error))
      ? `; if they work elsewhere, the region ${region} is not enabled in the account (Account settings in the console)`
      : '';
    throw new OperationError(doing, said, todo + hint, { cause: error });
  });
  if (found === accountId) return;
  throw new OperationError(
    doing,
    `these credentials are for the AWS account ${found} (${Arn}), not for ${accountId}`,
    `use a profile of ${accountId} (AWS_PROFILE), or correct aws.accountId in the release definition`,
  );
} // prettier-ignore

/** Asked of the region itself: one that is not enabled refuses. */
async function checkZones({ clients, settings }: Account): Promise<string[]> {
  const { region, availabilityZones } = settings;
  const todo = `see that the region ${region} is enabled in the account`;
  return checking(`looking for the zones of ${region}`, todo, async () => {
    const { AvailabilityZones = [] } = await clients.network.send(new DescribeAvailabilityZonesCommand({}));
    const usable = AvailabilityZones.filter(({ State, ZoneType }) => State === 'available' && (ZoneType ?? 'availability-zone') === 'availability-zone'); // prettier-ignore
    const names = usable.map(({ ZoneName = '' }) => ZoneName).sort();
    return availabilityZones
      .filter((zone) => !names.includes(zone))
      .map((zone) => `this account has no zone ${zone}: aws.availabilityZones can name ${names.join(', ')}`);
  });
}

async function checkHostedZone({ clients, settings }: Account): Promise<string[]> {
  const { hostedZoneId: Id, domain } = settings;
  const todo = 'give the id of a public hosted zone of this account in aws.hostedZoneId: see docs/aws.md';
  return checking(`looking for the hosted zone ${Id}`, todo, async () => {
    const { HostedZone } = await clients.names.send(new GetHostedZoneCommand({ Id }));
    const zone = (HostedZone?.Name ?? '').replace(/\.$/, '');
    if (HostedZone?.Config?.PrivateZone === true)
      return [`the hosted zone ${Id} (${zone}) is a private one, in which no certificate can prove itself: ${todo}`];
    if (domain === zone || domain.endsWith(`.${zone}`)) return [];
    return [`the domain ${domain} is not in the hosted zone ${Id}, which is that of ${zone}: correct aws.domains, or ${todo}`]; // prettier-ignore
  });
}

/** A release needs an instance for the rehearsal on a restored backup, beside both colours'. */
const scratchInstances = 1;

/** The only quota of those that a release runs into that its service tells with what is used of it. Not knowing is no problem. */
async function checkQuotas({ clients, settings }: Account): Promise<string[]> {
  const answer = await clients.databases.send(new DescribeAccountAttributesCommand({})).catch(() => undefined);
  const quota = answer?.AccountQuotas?.find(({ AccountQuotaName }) => AccountQuotaName === 'DBInstances');
  if (quota?.Max === undefined || quota.Used === undefined || quota.Max - quota.Used >= scratchInstances) return [];
  return [
    `the account has all of its ${quota.Max} database instances in ${settings.region}, and a release needs ${scratchInstances} more ` +
      'for a while: delete what is not needed, or raise the quota "DB instances" (Service Quotas in the console)',
  ];
}
