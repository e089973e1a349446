import { DescribeAvailabilityZonesCommand } from '@aws-sdk/client-ec2';
import { DescribeAccountAttributesCommand } from '@aws-sdk/client-rds';
import { GetHostedZoneCommand } from '@aws-sdk/client-route-53';
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { OperationError } from '../../../lib/errors.ts';
import { asOperationError, codeOf } from '../client/errors.ts';
import { GetBucketVersioningCommand, GetPublicAccessBlockCommand } from '@aws-sdk/client-s3';
import type { AwsSettings } from '../../lib/settings.ts';
import type { Clients } from '../client/clients.ts';
import { execa } from 'execa';
import { findEngine } from '../../../containers/engine.ts';
import { ownPlatform } from '../../../containers/platform.ts';
import { dockerEnvironment } from '../../../lib/child-environment.ts';
import { findTool } from '../../../lib/tools.ts';

interface Asked {
  clients: Pick<Account['clients'], 'identity'>;
  settings: Pick<Account['settings'], 'accountId' | 'region'>;
}

/**
 * Checks an account before anything in it is changed. Resolves to the problems, one sentence each, with what to do.
 * Reads only. The identity is checked first: if that is wrong, it is the only problem reported.
 */
export async function checkAccount(account: Account): Promise<string[]> {
  try {
    const stranger = await checkIdentity(account);
    if (stranger.length > 0) return stranger;
    const checks = [checkZones, checkHostedZone, checkStateBucket, checkQuotas];
    return (await Promise.all(checks.map((check) => check(account)))).flat();
  } catch (error) {
    // Expired credentials fail every check, and are reported once.
    if (error instanceof OperationError && error.code === 'credentials-expired') return [sentence(error)];
    throw error;
  }
}

const checkIdentity = (account: Account): Promise<string[]> =>
  checking('finding out which AWS account the credentials belong to', '', async () => {
    await refuseStranger(account);
    return [];
  });

/** Rejects with an OperationError if there are no valid credentials, or if they belong to another account. */
export async function refuseStranger({ clients, settings }: Asked): Promise<void> {
  const { accountId, region } = settings;
  const doing = 'finding out which AWS account the credentials belong to';
  const { Account: found, Arn } = await clients.identity
    .send(new GetCallerIdentityCommand({}))
    .catch((error: unknown) => {
      const { found: said, todo, code } = asOperationError(doing, error, `check that the region ${region} is right`);
      // A region that the account has not enabled rejects valid credentials with these codes.
      const hint = /InvalidClientTokenId|UnrecognizedClient/.test(codeOf(error))
        ? `; if they work elsewhere, the region ${region} is not enabled in the account (Account settings in the console)`
        : '';
      throw new OperationError(doing, said, todo + hint, { cause: error, code });
    });
  if (found === accountId) return;
  throw new OperationError(
    doing,
    `these credentials are for the AWS account ${found} (${Arn}), not for ${accountId}`,
    `use a profile of ${accountId} (AWS_PROFILE), or correct aws.accountId in the release definition`,
  );
}

/** The call goes to the region itself, which refuses it if it is not enabled. */
async function checkZones({ clients, settings }: Account): Promise<string[]> {
  const { region, availabilityZones } = settings;
  const todo = `check that the region ${region} is enabled in the account`;
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
      return [`the hosted zone ${Id} (${zone}) is private, so no certificate can be validated in it: ${todo}`];
    if (domain === zone || domain.endsWith(`.${zone}`)) return [];
    return [
      `the domain ${domain} is not in the hosted zone ${Id}, which is that of ${zone}: correct aws.domains, or ${todo}`,
    ];
  });
}

/**
 * Database instances that a release needs in addition to those of the colours: one, to rehearse on a restored backup.
 */
const scratchInstances = 1;

/** The only quota for which AWS reports the usage as well. If it cannot be read, that is no problem. */
async function checkQuotas({ clients, settings }: Account): Promise<string[]> {
  const answer = await clients.databases.send(new DescribeAccountAttributesCommand({})).catch(() => undefined);
  const quota = answer?.AccountQuotas?.find(({ AccountQuotaName }) => AccountQuotaName === 'DBInstances');
  if (quota?.Max === undefined || quota.Used === undefined || quota.Max - quota.Used >= scratchInstances) return [];
  return [
    `the account has all of its ${quota.Max} database instances in ${settings.region}, and a release needs ${scratchInstances} more ` +
      'for a while: delete what is not needed, or raise the quota "DB instances" (Service Quotas in the console)',
  ];
}

const howToCreate = 'docs/aws.md says how to create it';

/**
 * The state's bucket, which no stack creates. It must belong to this account: bucket names are global, so a stranger
 * may own the name.
 */
export async function checkStateBucket({ clients: { objects }, settings }: Account): Promise<string[]> {
  const { bucket } = settings.state;
  const of = { Bucket: bucket, ExpectedBucketOwner: settings.accountId };
  const doing = `checking the bucket ${bucket} of the state`;

  return checking(doing, `check that it is a bucket of this account in ${settings.region}`, async () => {
    let versioning: string | undefined;
    try {
      versioning = (await objects.send(new GetBucketVersioningCommand(of))).Status;
    } catch (error) {
      if (codeOf(error) === 'NoSuchBucket') return [`the bucket ${bucket} of the state does not exist: ${howToCreate}`];
      if (
        /^(PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraintException|301)$/.test(codeOf(error))
      )
        return [`the bucket ${bucket} of the state is in another region than ${settings.region}: ${howToCreate}`];
      if (codeOf(error) === 'AccessDenied')
        return [
          `these credentials may not read the bucket ${bucket} of the state, or it belongs to another account: ` +
            'docs/aws.md lists the rights that are needed',
        ];
      throw error;
    }
    const problems: string[] = [];
    if (versioning !== 'Enabled')
      problems.push(
        `the bucket ${bucket} of the state keeps no versions, so overwritten state is lost: enable versioning (aws s3api put-bucket-versioning --bucket ${bucket} --versioning-configuration Status=Enabled)`,
      );
    if (!(await blocksPublicAccess()))
      problems.push(
        `the bucket ${bucket} of the state could be made public: block all public access (aws s3api put-public-access-block; ${howToCreate})`,
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

export interface Account {
  clients: Pick<Clients, 'identity' | 'network' | 'names' | 'objects' | 'databases'>;
  settings: Pick<AwsSettings, 'accountId' | 'region' | 'availabilityZones' | 'hostedZoneId' | 'domain' | 'state'>;
}

export const sentence = ({ doing, found, todo }: OperationError): string => `${doing}: ${found}; ${todo}`;

/** Runs a check. An error becomes a sentence. `todo` is used if AWS's error code has no advice of its own. */
export async function checking(doing: string, todo: string, check: () => Promise<string[]>): Promise<string[]> {
  try {
    return await check();
  } catch (error) {
    const known = asOperationError(doing, error, todo);
    if (known.code === 'credentials-expired') throw known;
    return [sentence(known)];
  }
}

const dockerMs = 20_000;

/**
 * Problems that must be solved before anything is changed, one sentence each: in the account, and with Docker on this
 * machine.
 */
export async function awsProblems({ clients, settings }: Account & { settings: AwsSettings }): Promise<string[]> {
  const found = await Promise.all([checkAccount({ clients, settings }), checkBuilder(settings.tasks.architecture)]);
  return found.flat();
}

/** What hinders this machine from building images: Docker with buildx builds them, or Podman, for its own platform. */
async function checkBuilder(architecture: AwsSettings['tasks']['architecture']): Promise<string[]> {
  const problems = await checkDocker(architecture);
  const own = ownPlatform() === (architecture === 'ARM64' ? 'linux/arm64' : 'linux/amd64');
  if (problems.length === 0 || !own) return problems;
  return findEngine('podman').then(
    () => [],
    () => problems.map((problem) => `${problem}; or install podman`),
  );
}

/**
 * Docker builds the images. Checks its program, its engine, buildx, and whether it can build for the tasks' platform.
 */
export async function checkDocker(architecture: AwsSettings['tasks']['architecture']): Promise<string[]> {
  const docker = findTool('docker');
  if (docker === undefined)
    return [
      'docker is not installed, but it is needed to build the images: see https://docs.docker.com/engine/install/',
    ];
  const ask = (...args: string[]) =>
    execa(docker, args, { ...dockerEnvironment(), reject: false, timeout: dockerMs, stdin: 'ignore' });

  const engine = await ask('version', '--format', '{{.Server.Version}}');
  if (engine.exitCode !== 0)
    return [`docker cannot reach its engine (${lastLine(engine.stderr)}): start it, or set DOCKER_HOST`];
  const buildx = await ask('buildx', 'version');
  if (buildx.exitCode !== 0)
    return [
      'docker has no buildx, but it is needed to build the images: see https://docs.docker.com/build/install-buildx/',
    ];

  const platform = architecture === 'ARM64' ? 'linux/arm64' : 'linux/amd64';
  const platforms = platformsOf((await ask('buildx', 'inspect')).stdout);
  // A builder that has not run yet lists no platforms. Then the build itself reports an unsupported one.
  if (platforms.length === 0 || platforms.includes(platform)) return [];
  return [
    `docker on this machine builds for ${platforms.join(', ')}, but the tasks are ${platform} (aws.tasks.architecture is ${architecture}): ` +
      `install its emulation (docker run --privileged --rm tonistiigi/binfmt --install ${platform.slice('linux/'.length)}), or change aws.tasks.architecture`,
  ];
}

/** Parses the output of `docker buildx inspect`: `Platforms: linux/amd64*, linux/amd64/v2, …`. */
export const platformsOf = (text: string): string[] => {
  const lines = [...text.matchAll(/^Platforms:\s*(.+)$/gm)].map((match) => match[1] ?? '');
  return [...new Set(lines.flatMap((line) => line.split(',').map((name) => name.trim().replace(/\*$/, ''))))];
};

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';
