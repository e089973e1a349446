import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PutBucketVersioningCommand, PutPublicAccessBlockCommand } from '@aws-sdk/client-s3';
import { expect } from 'chai';
import { createClients, maxAttempts, type Clients } from '../../infra/aws/runtime/client/clients.ts';
import { CommandLine, type Finished } from '../e2e/command-line.ts';
import type { Fault, FaultRule } from '../emulated-account/faults.ts';
import { startEmulated, stateBucket, type Emulated } from './emulated.ts';
import { contentsOf, objectsOf } from './contents.ts';

/** Nobody may see them, whatever goes wrong. */
const secret = { AWS_SECRET_ACCESS_KEY: 'never-to-be-shown', AWS_SESSION_TOKEN: 'nor-is-this-one' };
const nobody = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '', AWS_SESSION_TOKEN: '' };

/** A command that goes on instead of refusing ends here. */
const longestMs = 60_000;

interface Play {
  env?: Record<string, string>;
  definition?: object;
  /** What AWS refuses meanwhile. */
  faults?: FaultRule[];
}

/** What a person gets wrong on the platform `aws`, with the real command line: one message that says what to do, and nothing done. */
describe('mistakes on the platform aws', function () {
  this.timeout(90_000);

  let emulated: Emulated;
  let clients: Clients;
  let homes: string;
  before(async () => {
    homes = await mkdtemp(join(tmpdir(), 'greenlight-mistakes-'));
    emulated = await startEmulated();
    const { endpoint, region } = emulated.account;
    const credentials = { accessKeyId: 'AKIAEMULATED', secretAccessKey: 'emulated' };
    clients = createClients({ region, endpoint, credentials });
  });
  after(async () => {
    for (const client of Object.values(clients ?? {}) as { destroy(): void }[]) client.destroy();
    await emulated?.close();
    await rm(homes, { recursive: true, force: true });
  });
  afterEach(() => {
    const { account, tasks, databases } = emulated;
    account.faults.clear();
    expect([...account.errors(), ...tasks.errors, ...databases.errors]).to.deep.equal([]);
  });

  /** A command line in a home of its own: another machine, as far as Greenlight knows. */
  async function machine({ env = {}, definition = {} }: Play = {}): Promise<CommandLine> {
    const changed = { ...emulated.env, ...secret, ...env, GREENLIGHT_TEST_DEFINITION: JSON.stringify(definition) };
    return new CommandLine(await mkdtemp(join(homes, 'home-')), 'test/aws/mistakes.config.ts', changed);
  }
  async function run(command: string, play?: Play): Promise<Finished & { faults: Fault[] }> {
    const cli = await machine(play);
    const faults = (play?.faults ?? []).map((rule) => emulated.account.faults.add(rule));
    const { child, done } = cli.start(...command.split(' '));
    const timer = setTimeout(() => child.kill('SIGKILL'), longestMs);
    const finished = await done;
    clearTimeout(timer);
    faults.forEach((fault) => fault.remove());
    return { ...finished, faults };
  }
  const all = (kind: FaultRule['kind'], ...services: string[]): FaultRule[] =>
    services.map((service) => ({ kind, service }));

  /** Refused, with these words, and nothing made. */
  async function refused(command: string, play: Play, code: number, ...words: string[]): Promise<Fault[]> {
    const before = await contentsOf(clients);
    const { output, code: ended, faults } = await run(command, play);
    expect(ended, output).to.equal(code);
    for (const each of words) expect(output).to.include(each);
    expect(output).not.to.match(/^\s+at .+:\d+/m);
    expect(output).not.to.match(/defect of Greenlight|undefined|\[object/);
    for (const value of Object.values(secret)) expect(output).not.to.include(value);
    expect(await objectsOf(clients.objects, 'greenlight/locks/'), 'locks').to.deep.equal([]);
    expect(await contentsOf(clients)).to.deep.equal(before);
    return faults;
  }

  describe('with credentials', () => {
    const login = ['aws sso login', 'AWS_PROFILE'];
    it('that are not there', async () => {
      await refused('release', { env: nobody }, 1, 'Could not load credentials', ...login);
      await refused('status', { env: nobody }, 1, 'Could not load credentials', ...login);
    });
    it('that are wrong, or of a region that is not enabled', async () => {
      const faults = all('wrong-keys', 'sts', 's3');
      await refused(
        'release',
        { faults },
        1,
        'InvalidClientTokenId',
        ...login,
        'the region eu-central-1 is not enabled',
      );
    });
    it('that are over at the start', async () => {
      const faults = all('expired-token', 'sts', 's3');
      const [asked] = await refused('release', { faults }, 1, 'ExpiredToken', 'log in again', 'run it again');
      expect(asked?.attempts).to.have.length(1);
      await refused('rollback', { faults }, 1, 'log in again');
    });
    it('of another account: it is left alone, down to its locks and journals', async () => {
      const before = await objectsOf(clients.objects, '');
      const definition = { aws: { accountId: '210987654321' } };
      const words = ['for the AWS account 123456789012', 'not for 210987654321', 'AWS_PROFILE'];
      for (const command of ['release', 'status', 'destroy --yes']) await refused(command, { definition }, 1, ...words);
      expect(await objectsOf(clients.objects, '')).to.deep.equal(before);
    });
    it('that lack one right', async () => {
      const one = { kind: 'access-denied', service: 'ec2', action: 'DescribeAvailabilityZones' } as const;
      await refused('release', { faults: [one] }, 2, 'perform: ec2:DescribeAvailabilityZones', 'docs/aws.md');
      await refused(
        'release',
        { faults: all('access-denied', 's3') },
        1,
        's3://greenlight-state/',
        'AccessDenied',
        'docs/aws.md',
      );
    });
  });

  describe('with what was made by hand', () => {
    it('a zone, and a hosted zone, that are not there', async () => {
      const aws = { availabilityZones: ['eu-central-1a', 'eu-central-1x'], hostedZoneId: 'Z0123456789ABC' };
      const words = ['no zone eu-central-1x', 'eu-central-1b', 'hosted zone Z0123456789ABC', 'aws.hostedZoneId'];
      await refused('release', { definition: { aws } }, 2, ...words);
    });
    it('the hosted zone of another domain', async () => {
      const domains = { staging: 'staging.example.net', production: 'app.example.net' };
      await refused('release', { definition: { aws: { domains } } }, 2, 'app.example.net is not in the hosted zone');
    });
    it('a bucket of the state that is not there', async () => {
      const state = { bucket: 'greenlight-nowhere', key: 'alias/greenlight-state' };
      for (const command of ['release', 'status'])
        await refused(
          command,
          { definition: { aws: { state } } },
          1,
          'NoSuchBucket',
          'docs/aws.md',
          'aws.state.bucket',
        );
    });
    it('a bucket of the state that keeps no versions and could be public', async () => {
      const { objects } = clients;
      const secured = async (on: boolean) => {
        const blocks = { BlockPublicAcls: on, IgnorePublicAcls: on, BlockPublicPolicy: on, RestrictPublicBuckets: on };
        const Status = on ? ('Enabled' as const) : ('Suspended' as const);
        await objects.send(
          new PutBucketVersioningCommand({ Bucket: stateBucket, VersioningConfiguration: { Status } }),
        );
        await objects.send(
          new PutPublicAccessBlockCommand({ Bucket: stateBucket, PublicAccessBlockConfiguration: blocks }),
        );
      };
      await secured(false);
      await refused('release', {}, 2, 'keeps no versions', 'could be made public').finally(() => secured(true));
    });
    it('a key of the state that is not there', async () => {
      const state = { bucket: stateBucket, key: 'alias/nowhere' };
      await refused('release', { definition: { aws: { state } } }, 1, 'alias/nowhere is not found', 'aws.state.key');
    });
    it('no way to AWS', async () => {
      const env = { AWS_ENDPOINT_URL: 'http://127.0.0.1:1' };
      await refused('release', { env }, 1, 'ECONNREFUSED', 'check that the network is up');
    });
    it('a proxy in the place of AWS', async () => {
      const { endpoint } = emulated.account;
      await refused(
        'release',
        { env: { AWS_ENDPOINT_URL: `${endpoint}/moto-api` } },
        1,
        'finding out which AWS account the credentials belong to',
      );
    });
  });

  describe('with Docker', () => {
    const tool = async (script: string) => {
      const directory = await mkdtemp(join(homes, 'tools-'));
      await writeFile(join(directory, 'docker'), `#!/bin/sh\n${script}\n`);
      await chmod(join(directory, 'docker'), 0o755);
      return { GREENLIGHT_TOOLS: directory };
    };
    it('not installed', async () => {
      const PATH = await mkdtemp(join(homes, 'path-'));
      await refused(
        'release',
        { env: { GREENLIGHT_TOOLS: '', PATH } },
        2,
        'docker is not installed',
        'https://docs.docker.com/',
      );
    });
    it('without an engine, and with a wrong zone: both at once', async () => {
      const env = await tool('echo "Cannot connect to the Docker daemon." >&2; exit 1');
      const definition = { aws: { availabilityZones: ['eu-central-1a', 'eu-central-1x'] } };
      await refused(
        'release',
        { env, definition },
        2,
        'cannot reach its engine',
        'start it, or set DOCKER_HOST',
        'no zone eu-central-1x',
      );
    });
  });

  describe('in the definition', () => {
    const receivers = [{ name: 'ops', webhook: 'http://127.0.0.1:9/hook' }];
    const cases: [string, object, number, string[]][] = [
      ['no section aws', { aws: null }, 1, ['aws: is missing', 'npm run init']],
      ['a region misspelt', { aws: { region: 'eu-centrl1' } }, 1, ['aws.region: found "eu-centrl1"']],
      [
        'two zones of another region',
        { aws: { availabilityZones: ['eu-west-1a', 'eu-west-1b'] } },
        1,
        ['aws.region: found "eu-central-1"; all zones are of eu-west-1'],
      ],
      [
        'an integration without an address',
        { aws: { integrations: {} } },
        1,
        ['aws.integrations["price-feed"]: is missing'],
      ],
      ['a receiver that is not https', { alerts: { receivers } }, 1, ['alerts.receivers[0].webhook: is not https']],
      [
        'keys that are unknown',
        { aws: { hostedZone: 'Z1', regoin: 'x' } },
        2,
        ['did you mean "hostedZoneId"', 'did you mean "region"'],
      ],
      ['another platform', { platform: 'moon' }, 1, ['platform: found "moon"; choose one of "local", "aws"']],
    ];
    for (const [what, definition, problems, words] of cases)
      it(what, async () => {
        const found = problems === 1 ? '1 problem\n' : `${problems} problems\n`;
        await refused('release', { definition }, 1, found, ...words, 'Nothing was changed');
      });
    it('another platform, on the command line', async () => {
      await refused('release --platform moon', {}, 1, 'there is no platform "moon"', '--platform aws');
    });
  });

  it('is looked at before there are credentials and a network', async () => {
    const env = { ...nobody, AWS_ENDPOINT_URL: 'http://127.0.0.1:1', AWS_EC2_METADATA_DISABLED: 'true' };
    const { code, output } = await run('release --platform aws --dry-run', { env });
    expect(code, output).to.equal(0);
    expect(output).to.include('What is live is not known').and.include('First go-live of 1.0.0');
    expect(output).to.include('production-foundation').and.include('US dollars');
  });

  it('is told where nothing was ever released', async () => {
    expect((await run('status')).output).to.match(/production +not up[^]*staging +not up/);
    await refused('rollback', {}, 1, 'there was no release', 'npm run release');
    await refused('resume', {}, 1, 'none is unfinished', 'npm run release');
    const { code, output } = await run('destroy --yes');
    expect(code, output).to.equal(0);
    expect(output).to.include('Nothing of production was up.').and.include('Nothing of staging was up.');
  });

  describe('where something is live', function () {
    this.bail(true);
    let first: CommandLine;

    it('a second release at once, from another machine: it is told who has it', async function () {
      this.timeout(900_000);
      first = await machine();
      const release = first.start('release', '--version', '1.0.0');
      await release.until('Build and test');
      const second = await run('release', { env: { USER: 'somebody' } });
      expect(second.code, second.output).to.equal(5);
      expect(second.output)
        .to.match(/has it for release 1\.0\.0 since .+ \(process \d+ on .+\)/)
        .and.include('wait');
      const { code, output } = await release.done;
      expect(code, output).to.equal(0);
    });

    it('the last release is shown on another machine too', async () => {
      const { code, output } = await run('status');
      expect(code, output).to.equal(0);
      expect(output)
        .to.match(/blue +1\.0\.0 +live +100 %/)
        .and.match(/release +\S+-1\.0\.0, 1\.0\.0: go/);
    });

    it('AWS is asked again where it asks to slow down, for a while', async () => {
      const rules = all('throttling', 'elasticloadbalancing', 'rds').map((rule) => ({ ...rule, times: 3 }));
      const { output, faults } = await run('status', { faults: rules });
      expect(output).to.match(/blue +1\.0\.0 +live +100 %/);
      expect(faults.map(({ struck }) => struck)).to.deep.equal([3, 3]);
    });

    it('and not for ever', async () => {
      const { code, output, faults } = await run('status', { faults: all('throttling', 'elasticloadbalancing') });
      expect(code, output).to.equal(1);
      expect(output).to.include('Throttling').and.include('AWS throttled the calls');
      expect(faults[0]?.attempts.length).to.be.within(maxAttempts, 8 * maxAttempts);
    });

    it('a build of the image that fails is shown, and what is live stays', async () => {
      const broken = {
        GREENLIGHT_TEST_DOCKER_BUILD_ERROR: 'process "/bin/sh -c npm ci" did not complete: exit code: 1',
      };
      const { code, output } = await run('release', { env: broken });
      expect(code, output).to.equal(1);
      expect(output).to.include('providing the image of version 2.0.0').and.include('npm ci');
      expect((await run('status')).output).to.match(/blue +1\.0\.0 +live +100 %/);
    });

    it('an image for another platform is told by the first task that cannot start', async () => {
      const { code, output } = await run('release', { env: { GREENLIGHT_TEST_DOCKER_PLATFORM: 'linux/s390x' } });
      expect(code, output).to.equal(2);
      expect(output)
        .to.include('exec format error')
        .and.include('for another CPU architecture: build it for tasks.architecture');
      expect((await run('status')).output).to.match(/blue +1\.0\.0 +live +100 %/);
    });
  });
});
