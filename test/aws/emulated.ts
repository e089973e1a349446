import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateAliasCommand, CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { CreateBucketCommand, PutBucketVersioningCommand, PutPublicAccessBlockCommand } from '@aws-sdk/client-s3';
import { createClients } from '../../infra/aws/runtime/client/clients.ts';
import { createCertificates } from '../../infra/local/lib/certificates.ts';
import { freePorts } from '../../infra/lib/free-ports.ts';
import { packageRoot } from '../../infra/lib/paths.ts';
import { startAccount, type Account } from '../emulated-account/account.ts';
import { databasesPart, type DatabasesPart } from '../emulated-account/databases.ts';
import { createHostedZone } from '../emulated-account/plugins/hosted-zone.ts';
import { pluginEnvironment } from '../emulated-account/plugins/environment.ts';
import { processorsPart } from '../emulated-account/processors.ts';
import { tasksPart, type TasksPart } from '../emulated-account/tasks.ts';

/** Seconds: how often the emulated CloudWatch has a point. AWS: 60. */
const periodSeconds = 2;
const region = 'eu-central-1';

export interface Emulated {
  account: Account;
  tasks: TasksPart;
  databases: DatabasesPart;
  /** For `automation/cli.ts` with `test/aws/emulated.config.ts`. */
  env: Record<string, string>;
  close(): Promise<void>;
}

/**
 * An account of AWS on this machine in which the sample can be released: what a person makes by hand before the first release
 * (state bucket, key, hosted zone), and a third party. Everything ends with `close`.
 */
export async function startEmulated(): Promise<Emulated> {
  const root = await mkdtemp(join(tmpdir(), 'greenlight-aws-'));
  const at = (name: string) => join(root, name);
  const opened: (() => Promise<unknown>)[] = [() => rm(root, { recursive: true, force: true })];
  const close = async () => {
    for (const end of opened.splice(0).reverse()) await end();
  };
  try {
    await createCertificates(at('certificates'));
    const authority = at('certificates/ca.pem');
    const [staging = 0, production = 0, feed = 0] = await freePorts(3);
    let tasks: TasksPart | undefined;
    let databases: DatabasesPart | undefined;
    const account = await startAccount({
      region,
      certificate: { cert: await read(at('certificates/server.crt')), key: await read(at('certificates/server.key')) },
      metricsMs: periodSeconds * 1000,
      alarmsMs: 2_000,
      balancer: { healthIntervalMs: 500, drainMs: 500, firewall: true },
      parts: [
        ({ endpoint }) =>
          (databases = databasesPart({ directory: at('databases'), certificates: at('certificates'), endpoint })),
        ({ endpoint }) =>
          (tasks = tasksPart({
            directory: at('tasks'),
            images: at('images'),
            authority,
            entryAuthority: authority,
            endpoint,
          })),
        ({ moto }) =>
          processorsPart({ moto, region, periodMs: periodSeconds * 1000, tasks: tasks!, databases: databases! }),
      ],
    });
    opened.push(() => account.close());
    const third = await startFeed(feed);
    opened.push(() => third());
    const hostedZone = await prepareByHand(account.endpoint);
    const env = {
      ...account.env,
      ...pluginEnvironment({ endpoint: account.endpoint, region, waits: true }),
      GREENLIGHT_HOME: at('home'),
      GREENLIGHT_TOOLS: join(import.meta.dirname, '..', 'emulated-account', 'programs'),
      GREENLIGHT_TEST_IMAGES: at('images'),
      GREENLIGHT_TEST_AUTHORITY: authority,
      GREENLIGHT_TEST_HOSTED_ZONE: hostedZone,
      GREENLIGHT_TEST_PORTS: [staging, production, feed].join(','),
      GREENLIGHT_TEST_PERIOD: String(periodSeconds),
    };
    return { account, tasks: tasks!, databases: databases!, env, close };
  } catch (error) {
    await close();
    throw error;
  }
}

const read = (file: string): Promise<string> => readFile(file, 'utf8');

export const stateBucket = 'greenlight-state';
export const stateKey = 'alias/greenlight-state';

/** See "From an empty account" in docs/aws.md. Resolves to the id of the hosted zone. */
async function prepareByHand(endpoint: string): Promise<string> {
  const credentials = { accessKeyId: 'AKIAEMULATED', secretAccessKey: 'emulated' };
  const { objects, names } = createClients({ region, endpoint, credentials });
  const Bucket = stateBucket;
  await objects.send(new CreateBucketCommand({ Bucket, CreateBucketConfiguration: { LocationConstraint: region } }));
  await objects.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }));
  const blocked = {
    BlockPublicAcls: true,
    BlockPublicPolicy: true,
    IgnorePublicAcls: true,
    RestrictPublicBuckets: true,
  };
  await objects.send(new PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration: blocked }));
  const keys = new KMSClient({ region, endpoint, credentials });
  const { KeyMetadata } = await keys.send(new CreateKeyCommand({}));
  await keys.send(new CreateAliasCommand({ AliasName: stateKey, TargetKeyId: KeyMetadata?.KeyId }));
  // The entry point's name is an address here, so the zone is of that "name".
  const zone = await createHostedZone(names, '127.0.0.1');
  for (const client of [objects, keys, names]) client.destroy();
  return zone;
}

/** The sample's third party: the same program that stands in for it locally. Resolves to its end. */
async function startFeed(port: number): Promise<() => Promise<void>> {
  const program = join(packageRoot, 'examples/think-in-coin/stand-ins/price-feed.ts');
  const env = { PATH: process.env['PATH'] ?? '', HOST: '127.0.0.1', PORT: String(port) };
  const child: ChildProcess = spawn(process.execPath, [program], { env, stdio: 'ignore' });
  const ended = once(child, 'exit');
  const end = async () => {
    child.kill();
    await ended;
  };
  for (let i = 0; i < 100; i += 1) {
    if (
      await fetch(`http://127.0.0.1:${port}/`).then(
        () => true,
        () => false,
      )
    )
      return end;
    await sleep(50);
  }
  await end();
  throw new Error('the price feed did not start');
}
