import { readFile, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { expect } from 'chai';
import { execa } from 'execa';
import { createEngine, type Engine } from '../../../../../../automation/stacks/engine.ts';
import { lockDirectory, recorded } from '../../../../../../automation/stacks/state.ts';
import { createClients, type Clients } from '../../../../../../infra/aws/runtime/client/clients.ts';
import { awsEngineSettings } from '../../../../../../infra/aws/runtime/engine/engine-settings.ts';
import { s3StateFiles } from '../../../../../../infra/aws/runtime/engine/state-files.ts';
import type { AwsSettings } from '../../../../../../infra/aws/lib/settings.ts';
import { stackName } from '../../../../../../infra/model.ts';
import { home, packageRoot } from '../../../../../../infra/lib/paths.ts';
import type { EngineSettings } from '../../../../../../infra/platform/engine.ts';
import type { Platform } from '../../../../../../infra/platform/platform.ts';
import { startGateway, type Gateway } from '../../../../../emulated-account/gateway.ts';
import { accountId, startMoto, type Moto } from '../../../../../emulated-account/moto.ts';
import { refusal } from '../../../../../contract/databases.ts';
import { stateFilesContract } from '../../../../../contract/state-files.ts';
import { createFixture, type Fixture } from '../../../../automation/stacks/fixture.ts';

const region = 'eu-central-1';
const credentials = { accessKeyId: 'AKIAEMULATED', secretAccessKey: 'emulated' };
const environment = 'staging';

async function emptyBucket(
  bucket: string,
): Promise<{ moto: Moto; gateway: Gateway; clients: Clients; close: () => Promise<void> }> {
  const moto = await startMoto();
  const gateway = await startGateway({ moto: moto.endpoint });
  const clients = createClients({ region, endpoint: gateway.endpoint, credentials });
  await clients.objects.send(
    new CreateBucketCommand({ Bucket: bucket, CreateBucketConfiguration: { LocationConstraint: region } }),
  );
  const close = async () => {
    for (const client of Object.values(clients) as { destroy(): void }[]) client.destroy();
    await gateway.close();
    await moto.close();
  };
  return { moto, gateway, clients, close };
}

stateFilesContract('the S3 backend', async () => {
  const { clients, close } = await emptyBucket('state');
  return { state: s3StateFiles(clients.objects, 'state'), close };
});

/** The local resources, by the real engine, with the state as it is on AWS: in S3, its secrets encrypted by KMS. */
describe('the engine with its state in S3', function () {
  this.timeout(240_000);
  let account: Awaited<ReturnType<typeof emptyBucket>>;
  let fixture: Fixture;
  let settings: EngineSettings;
  let platform: Platform;
  let engine: Engine;
  const before_ = new Map<string, string | undefined>();

  before(async () => {
    account = await emptyBucket('state');
    const variables = {
      AWS_ENDPOINT_URL: account.gateway.endpoint,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    };
    for (const [name, value] of Object.entries(variables)) {
      before_.set(name, process.env[name]);
      process.env[name] = value;
    }
    await makeKey(account.gateway.endpoint);
    fixture = await createFixture(environment);
    const state = { bucket: 'state', key: 'alias/greenlight-state' };
    const aws = awsEngineSettings({
      settings: (of) => ({ accountId, region, state, domain: `${of}.example.org` }) as AwsSettings,
      clients: account.clients,
    });
    // Local resources: their provider, their ids, and no policies, which know AWS's resources only.
    const local = fixture.platform.engine;
    settings = { ...aws, plugins: local.plugins, idOf: (resource) => local.idOf(resource), policyPacks: [] };
    platform = { ...fixture.platform, engine: settings };
    engine = createEngine(platform);
    fixture.platform = platform;
    fixture.engine = engine;
  });

  after(async () => {
    await fixture?.dispose();
    for (const [name, value] of before_) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    await account?.close();
  });

  const up = (version?: string) =>
    version === undefined
      ? engine.up({ environment, kind: 'blue', colour: { colour: 'blue' } })
      : fixture
          .artefact(version)
          .then((artefact) => engine.up({ environment, kind: 'blue', colour: { colour: 'blue', artefact } }));

  it('brings stacks up, and repeats them without a change', async () => {
    const first = await engine.up({ environment, kind: 'foundation', spec: fixture.spec });
    expect(first.changes['create']).to.be.above(5);
    const again = await engine.up({ environment, kind: 'foundation', spec: fixture.spec });
    expect(Object.keys(again.changes)).to.deep.equal(['same']);
    expect(await engine.exists(environment, 'foundation')).to.equal(true);
    expect(await engine.exists(environment, 'green')).to.equal(false);
  });

  it('keeps nothing here but the settings of its stacks, which hold the settings of AWS and no secret', async () => {
    const { Contents = [] } = await account.clients.objects.send(new ListObjectsV2Command({ Bucket: 'state' }));
    expect(Contents.map(({ Key }) => Key)).to.include('.pulumi/stacks/greenlight/staging-foundation.json');
    const text = await readFile(join(home(), 'engine', 'Pulumi.staging-foundation.yaml'), 'utf8');
    expect(text).to.include('awskms://alias/greenlight-state').and.include('staging.example.org');
    expect(text).not.to.include('T0ken-of-a-webhook');
    expect(await settings.state.read('.pulumi/stacks/greenlight/staging-foundation.json')).not.to.include(
      'T0ken-of-a-webhook',
    );
  });

  it('works from another machine, which has the bucket and the right to the key alone', async () => {
    await rm(join(home(), 'engine'), { recursive: true });
    const there = createEngine(platform);
    const again = await there.up({ environment, kind: 'foundation', spec: fixture.spec });
    expect(Object.keys(again.changes)).to.deep.equal(['same']);
    expect(await there.refresh({ environment, kind: 'foundation' })).to.deep.equal([]);
    expect(await readFile(join(home(), 'engine', 'Pulumi.staging-foundation.yaml'), 'utf8')).to.include('awskms://');
  });

  it('clears the lock of an engine that was killed, settles what it began, and goes on', async () => {
    const pending = async () =>
      ((await recorded(settings, 'staging-blue'))?.pending ?? []).map(({ resource }) => resource.type);
    let over = false;
    const ended = refusal(up()).finally(() => (over = true));
    while (!over && !(await pending()).includes('greenlight:local:PostgresCluster')) await sleep(5);
    const [lock] = await settings.state.list(lockDirectory('staging-blue'));
    const { pid } = JSON.parse((await settings.state.read(lock as string)) as string) as { pid: number };
    process.kill(pid, 'SIGKILL');
    expect(await ended).to.include('applying the stack staging-blue');
    expect(await settings.state.list(lockDirectory('staging-blue'))).to.deep.equal([lock]);
    expect((await up()).orphans).to.deep.equal([]);
    expect(await pending()).to.deep.equal([]);
    expect(await settings.state.list(lockDirectory('staging-blue'))).to.deep.equal([]);
    expect((await fixture.supervisor.list()).map(({ name }) => name)).to.include('database.blue');
    expect(await engine.refresh({ environment, kind: 'blue' })).to.deep.equal([]);
  });

  it('names what may exist unknown where only the provider knew the id of what was being made', async () => {
    const path = '.pulumi/stacks/greenlight/staging-blue.json';
    const text = JSON.parse((await settings.state.read(path)) as string) as {
      checkpoint: { latest: Record<string, unknown> };
    };
    const { resources } = text.checkpoint.latest as { resources: { type: string; urn: string; id?: string }[] };
    const cut = resources.find(({ type }) => type === 'greenlight:local:PostgresCluster');
    text.checkpoint.latest['resources'] = resources.filter((resource) => resource !== cut);
    const { id: _, ...resource } = cut ?? {};
    text.checkpoint.latest['pending_operations'] = [{ type: 'creating', resource }];
    await settings.state.write(path, JSON.stringify(text));
    const unsure = createEngine({ ...platform, engine: { ...settings, idOf: () => undefined } });
    const { orphans, changes } = await unsure.up({ environment, kind: 'blue', colour: { colour: 'blue' } });
    expect(orphans).to.deep.equal([cut?.urn]);
    // The local provider adopts what is there.
    expect(changes['create']).to.equal(1);
    expect((await recorded(settings, 'staging-blue'))?.pending).to.deep.equal([]);
  });

  it('refuses while an engine on another host works on the stack, and says where its lock is', async () => {
    const path = `${lockDirectory('staging-blue')}/other.json`;
    const lock = { pid: process.pid, username: 'somebody', hostname: 'elsewhere', timestamp: '2026-01-01T00:00:00Z' };
    await settings.state.write(path, JSON.stringify(lock));
    expect(await refusal(up()))
      .to.include('somebody on elsewhere')
      .and.include(`delete s3://state/${path}`);
    await settings.state.write(path, JSON.stringify({ ...lock, hostname: hostname() }));
    expect(await refusal(up())).to.include(`process ${process.pid} of somebody`);
    await settings.state.remove(path);
  });

  it('shows every promotion in the history of the traffic stack', async () => {
    const splits = [
      { live: 'blue', percent: 0 },
      { live: 'blue', percent: 10 },
      { live: 'green', percent: 0 },
    ] as const;
    await up('1.0.0');
    for (const split of splits.slice(0, 2)) await engine.up({ environment, kind: 'traffic', split });
    const { stdout } = await execa(
      settings.pulumiCommand,
      ['stack', 'history', '--json', '--stack', stackName(environment, 'traffic')],
      {
        cwd: join(home(), 'engine'),
        env: {
          ...settings.env,
          PULUMI_BACKEND_URL: settings.backendUrl,
          PULUMI_HOME: join(home(), 'engine', 'pulumi'),
          PULUMI_SKIP_UPDATE_CHECK: 'true',
        },
      },
    );
    const history = JSON.parse(stdout) as { config: Record<string, { value: string }>; kind: string }[];
    const shown = history
      .filter(({ kind }) => kind === 'update')
      .map(({ config }) => `${config['greenlight:live']?.value} ${config['greenlight:percent']?.value}`);
    expect(shown).to.deep.equal(['blue 10', 'blue 0']);
    expect(JSON.parse(history[0]?.config['greenlight:aws']?.value ?? '{}')).to.include({
      domain: 'staging.example.org',
    });
  });

  it('says what to do where the token has expired, and goes on after a new login', async () => {
    const fault = account.gateway.faults.add({ kind: 'expired-token', service: 's3' });
    expect(await refusal(engine.exists(environment, 'foundation')))
      .to.include('ExpiredToken')
      .and.include('log in again')
      .and.include('npm run resume');
    fault.remove();
    const later = account.gateway.faults.add({ kind: 'expired-token', service: 'kms' });
    const text = await refusal(createEngine(platform).up({ environment, kind: 'blue', colour: { colour: 'blue' } }));
    expect(text).to.include('log in again').and.include('npm run resume');
    later.remove();
    expect((await up('1.0.0')).changes['create']).to.equal(undefined);
  });

  it('judges by policies before anything is made', async () => {
    const strict = join(packageRoot, 'test', 'aws', 'refusing-policies', 'pulumi-analyzer-refusing');
    const judged = createEngine({ ...platform, engine: { ...settings, policyPacks: [strict] } });
    const text = await refusal(judged.up({ environment, kind: 'green', colour: { colour: 'green' } }));
    expect(text).to.include('database.green: no-clusters: No database: a cluster is refused');
    expect((await recorded(settings, 'staging-green'))?.resources.map(({ type }) => type)).not.to.include(
      'greenlight:local:PostgresCluster',
    );
    expect((await fixture.supervisor.list()).map(({ name }) => name)).not.to.include('database.green');
  });

  it('forgets a stack whole', async () => {
    await engine.forget(environment, 'green');
    const { Contents = [] } = await account.clients.objects.send(new ListObjectsV2Command({ Bucket: 'state' }));
    expect(Contents.map(({ Key }) => Key).filter((path) => path?.includes('staging-green'))).to.deep.equal([]);
  });
});

/** By the protocol alone: the run time needs no client of KMS. */
async function makeKey(endpoint: string): Promise<void> {
  const ask = async (action: string, input: object): Promise<Record<string, unknown>> => {
    const headers = {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': `TrentService.${action}`,
      authorization: `AWS4-HMAC-SHA256 Credential=AKIAEMULATED/20260101/${region}/kms/aws4_request, SignedHeaders=host, Signature=0`,
    };
    const answer = await fetch(endpoint, { method: 'POST', headers, body: JSON.stringify(input) });
    if (!answer.ok) throw new Error(`${action}: ${await answer.text()}`);
    return JSON.parse((await answer.text()) || '{}') as Record<string, unknown>;
  };
  const { KeyMetadata } = (await ask('CreateKey', {})) as { KeyMetadata: { KeyId: string } };
  await ask('CreateAlias', { AliasName: 'alias/greenlight-state', TargetKeyId: KeyMetadata.KeyId });
}
