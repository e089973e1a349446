import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../../../../../infra/lib/paths.ts';
import { CreateHostedZoneCommand } from '@aws-sdk/client-route-53';
import { CreateBucketCommand, PutBucketVersioningCommand, PutPublicAccessBlockCommand } from '@aws-sdk/client-s3';
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { expect } from 'chai';
import { execa } from 'execa';
import {
  checkAccount,
  type Account,
  checkDocker,
  platformsOf,
} from '../../../../../../infra/aws/runtime/account/account.ts';
import { createClients, type Clients } from '../../../../../../infra/aws/runtime/client/clients.ts';
import { errorAnswer } from '../../../../../emulated-account/faults.ts';
import { startGateway, type Gateway } from '../../../../../emulated-account/gateway.ts';
import type { Call } from '../../../../../emulated-account/hooks.ts';
import { accountId, startMoto, type Moto } from '../../../../../emulated-account/moto.ts';

const region = 'eu-central-1';
const credentials = { accessKeyId: 'AKIAEMULATED', secretAccessKey: 'emulated' };
const bucket = 'state';

describe('checks of an account', function () {
  this.timeout(60_000);
  let moto: Moto;
  let gateway: Gateway;
  let clients: Clients;
  let settings: Account['settings'];
  let asked: Call[];
  /** Answers in the place of moto, by action. */
  let instead: Record<string, (call: Call) => ReturnType<typeof errorAnswer>>;

  before(async () => {
    moto = await startMoto();
    gateway = await startGateway({ moto: moto.endpoint });
    const actions = ['GetCallerIdentity', 'DescribeAvailabilityZones', 'DescribeAccountAttributes', 'GET'];
    gateway.use(
      ['sts', 'ec2', 'rds', 's3', 'route53'].map((service) => ({
        service,
        actions: [...actions, 'GetHostedZone'],
        before: (call: Call) => {
          asked.push(call);
          const wanted = instead[call.action] ?? instead[`${service} ${call.action}`];
          return Promise.resolve(
            wanted?.(call) ?? (call.action === 'DescribeAccountAttributes' ? instances(0, 40) : undefined),
          );
        },
      })),
    );
    clients = createClients({ region, endpoint: gateway.endpoint, credentials });
  });
  after(async () => {
    for (const client of Object.values(clients) as { destroy(): void }[]) client.destroy();
    await gateway.close();
    await moto.close();
  });
  beforeEach(async () => {
    asked = [];
    instead = {};
    gateway.faults.clear();
    await fetch(`${moto.endpoint}/moto-api/reset`, { method: 'POST' });
    const zone = await clients.names.send(new CreateHostedZoneCommand({ Name: 'example.org', CallerReference: 'x' }));
    await clients.objects.send(
      new CreateBucketCommand({ Bucket: bucket, CreateBucketConfiguration: { LocationConstraint: region } }),
    );
    await versions('Enabled');
    await blocked(true);
    asked = [];
    settings = {
      accountId,
      region,
      availabilityZones: ['eu-central-1a', 'eu-central-1b'],
      hostedZoneId: zone.HostedZone?.Id?.split('/').at(-1) ?? '',
      domain: 'app.example.org',
      state: { bucket, key: 'alias/state' },
    };
  });

  const versions = (Status: 'Enabled' | 'Suspended') =>
    clients.objects.send(new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration: { Status } }));
  const blocked = (on: boolean) => {
    const PublicAccessBlockConfiguration = {
      BlockPublicAcls: true,
      IgnorePublicAcls: true,
      BlockPublicPolicy: on,
      RestrictPublicBuckets: true,
    };
    return clients.objects.send(new PutPublicAccessBlockCommand({ Bucket: bucket, PublicAccessBlockConfiguration }));
  };
  const check = (changed: Partial<Account['settings']> = {}) =>
    checkAccount({ clients, settings: { ...settings, ...changed } });
  const refuse =
    (status: number, code: string, message = 'refused') =>
    (call: Call) =>
      errorAnswer(call, { status, code, message });
  const only = (found: string[]): string => {
    expect(found, found.join('\n')).to.have.length(1);
    return found[0] ?? '';
  };

  it('find nothing where all is as it should be', async () => {
    expect(await check()).to.deep.equal([]);
  });

  it('ask who it is first, and nothing else of another account', async () => {
    const found = only(await check({ accountId: '210987654321' }));
    expect(found)
      .to.include(`for the AWS account ${accountId}`)
      .and.include('not for 210987654321')
      .and.include('AWS_PROFILE');
    expect(asked.map(({ action }) => action)).to.deep.equal(['GetCallerIdentity']);
  });

  it('say what to do about credentials that are wrong, over, or not there', async () => {
    instead = {
      GetCallerIdentity: refuse(403, 'InvalidClientTokenId', 'The security token included in the request is invalid.'),
    };
    expect(only(await check()))
      .to.include('give credentials')
      .and.include(`the region ${region} is not enabled`);
    instead = { GetCallerIdentity: refuse(403, 'SignatureDoesNotMatch') };
    expect(only(await check())).to.include('give credentials');
    instead = {};
    gateway.faults.add({ kind: 'expired-token', service: 'sts' });
    expect(only(await check()))
      .to.include('log in again')
      .and.include('npm run resume');
  });

  it('say one sentence where the token ends between two of them', async () => {
    for (const service of ['ec2', 's3', 'route53']) gateway.faults.add({ kind: 'expired-token', service });
    expect(only(await check())).to.include('log in again');
  });

  it('say so where no credentials are to be found', async () => {
    const cleared = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_PROFILE'];
    const nowhere = {
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: '/dev/null',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    };
    const before = { ...process.env };
    for (const name of cleared) delete process.env[name];
    Object.assign(process.env, nowhere);
    const none = createClients({ region, endpoint: gateway.endpoint });
    try {
      expect(only(await checkAccount({ clients: none, settings }))).to.include('give credentials: aws sso login');
    } finally {
      process.env = before;
      for (const client of Object.values(none) as { destroy(): void }[]) client.destroy();
    }
  });

  it('use what a new login wrote when the command is given again', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'greenlight-login-'));
    const before = { ...process.env };
    const file = join(folder, 'credentials');
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN']) delete process.env[name];
    Object.assign(process.env, {
      AWS_SHARED_CREDENTIALS_FILE: file,
      AWS_CONFIG_FILE: '/dev/null',
      AWS_PROFILE: 'work',
    });
    const over = {
      GetCallerIdentity: (call: Call) =>
        call.headers['x-amz-security-token'] === 'old' ? refuse(403, 'ExpiredToken')(call) : undefined,
    };
    instead = over as typeof instead;
    const logIn = (token: string) =>
      writeFile(
        file,
        `[work]\naws_access_key_id = AKIAWORK\naws_secret_access_key = x\naws_session_token = ${token}\n`,
      );
    const script = join(folder, 'who.ts');
    const from = (path: string) => JSON.stringify(join(packageRoot, path));
    await writeFile(
      script,
      `
      import { checkAccount } from ${from('infra/aws/runtime/account/account.ts')};
      import { createClients } from ${from('infra/aws/runtime/client/clients.ts')};
      const clients = createClients({ region: '${region}', endpoint: '${gateway.endpoint}' });
      console.log(JSON.stringify(await checkAccount({ clients, settings: ${JSON.stringify(settings)} })));
    `,
    );
    try {
      const run = async () => JSON.parse((await execa(process.execPath, [script])).stdout) as string[];
      await logIn('old');
      expect(only(await run())).to.include('log in again');
      await logIn('new');
      expect(await run()).to.deep.equal([]);
    } finally {
      process.env = before;
      await rm(folder, { recursive: true });
    }
  });

  it('name zones that are not there, and a region that is not enabled', async () => {
    const found = only(await check({ availabilityZones: ['eu-central-1a', 'eu-central-1x'] }));
    expect(found).to.include('no zone eu-central-1x').and.include('eu-central-1a, eu-central-1b');
    instead = { DescribeAvailabilityZones: refuse(403, 'OptInRequired', 'You are not subscribed to this service.') };
    expect(only(await check()))
      .to.include('OptInRequired')
      .and.include(`the region ${region} is enabled`);
    const nowhere = createClients({ region: 'eu-cenral-1', endpoint: 'http://sts.eu-cenral-1.invalid', credentials });
    expect(only(await checkAccount({ clients: nowhere, settings }))).to.include('region is spelt right');
    for (const client of Object.values(nowhere) as { destroy(): void }[]) client.destroy();
  });

  it('find a hosted zone that is missing, private or of another domain', async () => {
    expect(only(await check({ hostedZoneId: 'Z0000000NOWHERE' })))
      .to.include('NoSuchHostedZone')
      .and.include('aws.hostedZoneId');
    expect(only(await check({ domain: 'app.notexample.org' })))
      .to.include('app.notexample.org is not in')
      .and.include('example.org');
    expect(await check({ domain: 'example.org' })).to.deep.equal([]);
    const own = await clients.names.send(
      new CreateHostedZoneCommand({
        Name: 'example.org',
        CallerReference: 'y',
        VPC: { VPCId: 'vpc-1', VPCRegion: region },
        HostedZoneConfig: { PrivateZone: true },
      }),
    );
    expect(only(await check({ hostedZoneId: own.HostedZone?.Id?.split('/').at(-1) ?? '' }))).to.include('private');
  });

  it('find a bucket of the state that is missing, of a stranger, elsewhere, without versions, or open', async () => {
    const other = (name: string) => check({ state: { bucket: name, key: 'alias/state' } });
    expect(only(await other('nowhere')))
      .to.include('the bucket nowhere of the state does not exist')
      .and.include('docs/aws.md');
    instead = { 's3 GET': refuse(403, 'AccessDenied') };
    expect(only(await check())).to.include('belongs to another account');
    instead = { 's3 GET': refuse(301, 'PermanentRedirect') };
    expect(only(await check())).to.include(`in another region than ${region}`);
    instead = {};
    await versions('Suspended');
    expect(only(await check()))
      .to.include('keeps no versions')
      .and.include('put-bucket-versioning');
    await versions('Enabled');
    await blocked(false);
    expect(only(await check())).to.include('could be made public');
    expect(
      asked
        .filter(({ service }) => service === 's3')
        .every(({ headers }) => headers['x-amz-expected-bucket-owner'] === accountId),
    ).to.equal(true);
  });

  it('find no room for another database instance', async () => {
    instead = { DescribeAccountAttributes: () => instances(40, 40) };
    expect(only(await check()))
      .to.include('all of its 40 database instances')
      .and.include('Service Quotas');
    instead = { DescribeAccountAttributes: refuse(403, 'AccessDenied') };
    expect(await check(), 'not knowing is no problem').to.deep.equal([]);
  });

  it('name all at once', async () => {
    await versions('Suspended');
    expect(await check({ domain: 'other.com', availabilityZones: ['eu-central-1y', 'eu-central-1z'] })).to.have.length(
      4,
    );
    await clients.identity.send(new GetCallerIdentityCommand({}));
  });
});

const instances = (used: number, max: number) => ({
  status: 200,
  headers: { 'content-type': 'text/xml' },
  body: Buffer.from(
    `<DescribeAccountAttributesResponse xmlns="http://rds.amazonaws.com/doc/2014-10-31/"><DescribeAccountAttributesResult><AccountQuotas><AccountQuota><AccountQuotaName>DBInstances</AccountQuotaName><Used>${used}</Used><Max>${max}</Max></AccountQuota></AccountQuotas></DescribeAccountAttributesResult></DescribeAccountAttributesResponse>`,
  ),
});

describe('checks of Docker', () => {
  let folder: string;
  const before = process.env['GREENLIGHT_TOOLS'];
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'greenlight-docker-'));
    process.env['GREENLIGHT_TOOLS'] = folder;
  });
  afterEach(async () => {
    if (before === undefined) delete process.env['GREENLIGHT_TOOLS'];
    else process.env['GREENLIGHT_TOOLS'] = before;
    await rm(folder, { recursive: true });
  });

  const docker = async (script: string) => {
    await writeFile(join(folder, 'docker'), `#!/bin/sh\n${script}\n`);
    await chmod(join(folder, 'docker'), 0o755);
  };
  const inspected = 'Name: default\nNodes:\nPlatforms: linux/amd64*, linux/amd64/v2, linux/386';
  const works = `case "$*" in "buildx inspect") printf '${inspected}\\n';; *) echo 28.0.0;; esac`;

  it('find nothing where it builds for the platform of the tasks, or does not say', async () => {
    await docker(works);
    expect(await checkDocker('X86_64')).to.deep.equal([]);
    await docker('echo 28.0.0');
    expect(await checkDocker('ARM64')).to.deep.equal([]);
  });

  it('find an engine that is down, buildx missing, and a platform that it cannot build', async () => {
    await docker('echo "Cannot connect to the Docker daemon" >&2; exit 1');
    expect(await checkDocker('X86_64')).to.have.length(1);
    expect((await checkDocker('X86_64'))[0])
      .to.include('cannot reach its engine')
      .and.include('Cannot connect');
    await docker('case "$1" in buildx) exit 1;; *) echo 28.0.0;; esac');
    expect((await checkDocker('X86_64'))[0]).to.include('no buildx');
    await docker(works);
    expect((await checkDocker('ARM64'))[0])
      .to.include('linux/386, but the tasks are linux/arm64')
      .and.include('--install arm64');
  });

  it('read the platforms of all nodes', () => {
    expect(platformsOf(`${inspected}\nPlatforms: linux/arm64`)).to.include.members(['linux/amd64', 'linux/arm64']);
    expect(platformsOf('Name: x')).to.deep.equal([]);
  });
});
