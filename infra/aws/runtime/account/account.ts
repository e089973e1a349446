import { DescribeAvailabilityZonesCommand } from '@aws-sdk/client-ec2';
import { DescribeAccountAttributesCommand } from '@aws-sdk/client-rds';
import { GetHostedZoneCommand } from '@aws-sdk/client-route-53';
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { OperationError } from '../../../lib/errors.ts';
import { asOperationError, codeOf, hasExpired } from '../client/errors.ts';
import { GetBucketVersioningCommand, GetPublicAccessBlockCommand } from '@aws-sdk/client-s3';
import type { AwsSettings } from '../../lib/settings.ts';
import type { Clients } from '../client/clients.ts';
import { execa } from 'execa';
import { dockerEnvironment } from '../../../lib/child-environment.ts';
import { findTool } from '../../../lib/tools.ts';

interface Asked {
  clients: Pick<Account['clients'], 'identity'>;
  settings: Pick<Account['settings'], 'accountId' | 'region'>;
}

/**
 * What is wrong with an account before anything in it is changed: a sentence each, with what to do. Reads only. Who it is
 * comes first: if the identity is wrong, nothing else is checked, and that is the only sentence.
 */
export async function checkAccount(account: Account): Promise<string[]> {
  try {
    const stranger = await checkIdentity(account);
    if (stranger.length > 0) return stranger;
    const checks = [checkZones, checkHostedZone, checkStateBucket, checkQuotas];
    return (await Promise.all(checks.map((check) => check(account)))).flat();
  } catch (error) {
    // Expired credentials fail every check: they are reported once.
    if (error instanceof OperationError && hasExpired(error)) return [sentence(error)];
    throw error;
  }
}

const checkIdentity = (account: Account): Promise<string[]> =>
  checking('asking AWS who this is', '', async () => {
    await refuseStranger(account);
    return [];
  });

/** Rejects with an OperationError if the credentials are invalid or belong to another account. */
export async function refuseStranger({ clients, settings }: Asked): Promise<void> {
  const { accountId, region } = settings;
  const doing = 'asking AWS who this is';
  const { Account: found, Arn } = await clients.identity
    .send(new GetCallerIdentityCommand({}))
    .catch((error: unknown) => {
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
}

/** Asked of the region itself: one that is not enabled refuses. */
async function checkZones({ clients, settings }: Account): Promise<string[]> {
  const { region, availabilityZones } = settings;
  const todo = `see that the region ${region} is enabled in the account`;
  return checking(`looking for the zones of ${region}`, todo, async () => {
    const { AvailabilityZones = [] } = await clients.network.send(new DescribeAvailabilityZonesCommand({}));
    const usable = AvailabilityZones.filter(
      ({ State, ZoneType }) => State === 'available' && (ZoneType ?? 'availability-zone') === 'availability-zone',
    );
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
    return [
      `the domain ${domain} is not in the hosted zone ${Id}, which is that of ${zone}: correct aws.domains, or ${todo}`,
    ];
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

const byHand = 'docs/aws.md says how to make it';

/** The bucket of the state, which no stack makes. Of this account: a name that is free can be taken by a stranger. */
export async function checkStateBucket({ clients: { objects }, settings }: Account): Promise<string[]> {
  const { bucket } = settings.state;
  const of = { Bucket: bucket, ExpectedBucketOwner: settings.accountId };
  const doing = `looking at the bucket ${bucket} of the state`;

  return checking(doing, `see that it is a bucket of this account in ${settings.region}`, async () => {
    let versioning: string | undefined;
    try {
      versioning = (await objects.send(new GetBucketVersioningCommand(of))).Status;
    } catch (error) {
      if (codeOf(error) === 'NoSuchBucket') return [`the bucket ${bucket} of the state is not there: ${byHand}`];
      if (
        /^(PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraintException|301)$/.test(codeOf(error))
      )
        return [`the bucket ${bucket} of the state is in another region than ${settings.region}: ${byHand}`];
      if (codeOf(error) === 'AccessDenied')
        return [
          `these credentials may not look at the bucket ${bucket} of the state, or it belongs to another account: ` +
            'docs/aws.md lists the rights that are needed',
        ];
      throw error;
    }
    const problems: string[] = [];
    if (versioning !== 'Enabled')
      problems.push(
        `the bucket ${bucket} of the state keeps no versions, so what is overwritten is lost: switch them on (aws s3api put-bucket-versioning --bucket ${bucket} --versioning-configuration Status=Enabled)`,
      );
    if (!(await blocksPublicAccess()))
      problems.push(
        `the bucket ${bucket} of the state could be made public: block all public access (aws s3api put-public-access-block; ${byHand})`,
      );
    return problems;
  });

  async function blocksPublicAccess(): Promise<boolean> {
    try {
      const { PublicAccessBlockConfiguration: blocks } = await objects.send(new GetPublicAccessBlockCommand(of));
      const { BlockPublicAcls, IgnorePublicAcls, BlockPublicPolicy, RestrictPublicBuckets } = blocks ?? {};
      return [BlockPublicAcls, IgnorePublicAcls, BlockPublicPolicy, RestrictPublicBuckets].every((on) => on === true);
    } catch (error) {
      if (codeOf(error) === 'NoSuchPublicAccessBlockConfiguration') return false;
      throw error;
    }
  }
}

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
    const problem = asOperationError(doing, error, todo);
    if (hasExpired(problem)) throw problem;
    return [sentence(problem)];
  }
}

const askMs = 20_000;

/** What is missing or wrong before anything is changed, a sentence each: the account, and what makes images here. */
export async function awsProblems({ clients, settings }: Account & { settings: AwsSettings }): Promise<string[]> {
  const found = await Promise.all([checkAccount({ clients, settings }), checkDocker(settings.tasks.architecture)]);
  return found.flat();
}

/** Docker makes the images: its program, its engine, buildx, and the platform that the tasks run on. */
export async function checkDocker(architecture: AwsSettings['tasks']['architecture']): Promise<string[]> {
  const docker = findTool('docker');
  if (docker === undefined)
    return ['docker is not installed, and it makes the images: see https://docs.docker.com/engine/install/'];
  const ask = (...args: string[]) =>
    execa(docker, args, { ...dockerEnvironment(), reject: false, timeout: askMs, stdin: 'ignore' });

  const engine = await ask('version', '--format', '{{.Server.Version}}');
  if (engine.exitCode !== 0)
    return [`docker has no engine to build with (${lastLine(engine.stderr)}): start it, or set DOCKER_HOST`];
  const buildx = await ask('buildx', 'version');
  if (buildx.exitCode !== 0)
    return ['docker has no buildx, and it builds the images: see https://docs.docker.com/build/install-buildx/'];

  const platform = architecture === 'ARM64' ? 'linux/arm64' : 'linux/amd64';
  const platforms = platformsOf((await ask('buildx', 'inspect')).stdout);
  // A builder that has not run yet names none: then the build itself will say.
  if (platforms.length === 0 || platforms.includes(platform)) return [];
  return [
    `docker builds for ${platforms.join(', ')} here, and the tasks are ${platform} (aws.tasks.architecture is ${architecture}): ` +
      `install its emulation (docker run --privileged --rm tonistiigi/binfmt --install ${platform.slice('linux/'.length)}), or change aws.tasks.architecture`,
  ];
}

/** From what `docker buildx inspect` says: `Platforms: linux/amd64*, linux/amd64/v2, …`. */
export const platformsOf = (text: string): string[] => {
  const lines = [...text.matchAll(/^Platforms:\s*(.+)$/gm)].map((match) => match[1] ?? '');
  return [...new Set(lines.flatMap((line) => line.split(',').map((name) => name.trim().replace(/\*$/, ''))))];
};

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';
