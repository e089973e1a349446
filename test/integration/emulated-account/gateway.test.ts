import { once as eventOnce } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { CloudWatchClient, DescribeAlarmsCommand, PutMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import { DescribeLogGroupsCommand } from '@aws-sdk/client-cloudwatch-logs';
import { DescribeVpcsCommand, EC2Client } from '@aws-sdk/client-ec2';
import { CreateRepositoryCommand } from '@aws-sdk/client-ecr';
import { CreateClusterCommand, ECSClient, ListClustersCommand } from '@aws-sdk/client-ecs';
import { DescribeLoadBalancersCommand } from '@aws-sdk/client-elastic-load-balancing-v2';
import { DescribeDBInstancesCommand, RDSClient } from '@aws-sdk/client-rds';
import { ListHostedZonesCommand, Route53Client } from '@aws-sdk/client-route-53';
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { CreateSecretCommand, GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { CreateTopicCommand } from '@aws-sdk/client-sns';
import { CreateQueueCommand, ReceiveMessageCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { createClients, maxAttempts, type Clients } from '../../../infra/aws/runtime/client/clients.ts';
import { codeOf } from '../../../infra/aws/runtime/client/errors.ts';
import type { FaultKind } from '../../emulated-account/faults.ts';
import { startGateway, type Gateway } from '../../emulated-account/gateway.ts';
import type { Call, Hook } from '../../emulated-account/hooks.ts';
import { accountId, startMoto, type Moto } from '../../emulated-account/moto.ts';
import { withoutBackoff } from '../../lib/without-backoff.ts';

const region = 'eu-central-1';
const credentials = { accessKeyId: 'AKIAEMULATED', secretAccessKey: 'emulated' };

describe('the gateway in front of moto', function () {
  this.timeout(120_000);
  let moto: Moto;
  let gateway: Gateway;
  let clients: Clients;
  before(async () => {
    moto = await startMoto();
  });
  after(() => moto.close());
  beforeEach(async () => {
    gateway = await startGateway({ moto: moto.endpoint });
    clients = createClients({ region, endpoint: gateway.endpoint, credentials });
  });
  afterEach(async () => {
    for (const client of Object.values(clients) as { destroy(): void }[]) client.destroy();
    await gateway.close();
  });

  const hear = (service: string, ...actions: string[]): Call[] => {
    const heard: Call[] = [];
    gateway.use([{ service, actions, before: (call) => Promise.resolve(void heard.push(call)) }]);
    return heard;
  };

  const failure = async (call: Promise<unknown>): Promise<Error & { $metadata?: { attempts?: number } }> =>
    call.then(
      () => expect.fail('it succeeded'),
      (error: unknown) => error as Error,
    );

  describe('what the clients of a release send', () => {
    const calls: [string, string, (of: Clients) => Promise<unknown>, Record<string, unknown>][] = [
      [
        'elasticloadbalancing',
        'DescribeLoadBalancers',
        (of) => of.balancer.send(new DescribeLoadBalancersCommand({ PageSize: 7 })),
        { PageSize: '7' },
      ],
      [
        'ecs',
        'ListClusters',
        (of) => of.containers.send(new ListClustersCommand({ maxResults: 7 })),
        { maxResults: 7 },
      ],
      [
        'rds',
        'DescribeDBInstances',
        (of) =>
          of.databases.send(new DescribeDBInstancesCommand({ Filters: [{ Name: 'engine', Values: ['a b&c', 'd'] }] })),
        {
          'Filters.Filter.1.Name': 'engine',
          'Filters.Filter.1.Values.Value.2': 'd',
          'Filters.Filter.1.Values.Value.1': 'a b&c',
        },
      ],
      [
        'secretsmanager',
        'CreateSecret',
        (of) => of.secrets.send(new CreateSecretCommand({ Name: 'a', SecretString: 'é' })),
        { Name: 'a', SecretString: 'é' },
      ],
      [
        'monitoring',
        'DescribeAlarms',
        (of) => of.metrics.send(new DescribeAlarmsCommand({ AlarmNames: ['a'] })),
        { AlarmNames: ['a'] },
      ],
      ['logs', 'DescribeLogGroups', (of) => of.logs.send(new DescribeLogGroupsCommand({ limit: 7 })), { limit: 7 }],
      [
        'sns',
        'CreateTopic',
        (of) => of.topics.send(new CreateTopicCommand({ Name: 'a', Tags: [{ Key: 'k', Value: 'v' }] })),
        { Name: 'a', 'Tags.member.1.Key': 'k' },
      ],
      ['sqs', 'CreateQueue', (of) => of.queues.send(new CreateQueueCommand({ QueueName: 'a' })), { QueueName: 'a' }],
      [
        'ecr',
        'CreateRepository',
        (of) => of.images.send(new CreateRepositoryCommand({ repositoryName: 'a' })),
        { repositoryName: 'a' },
      ],
      ['sts', 'GetCallerIdentity', (of) => of.identity.send(new GetCallerIdentityCommand({})), {}],
      ['route53', 'GET', (of) => of.names.send(new ListHostedZonesCommand({ MaxItems: 7 })), { maxitems: '7' }],
      ['ec2', 'DescribeVpcs', (of) => of.network.send(new DescribeVpcsCommand({ MaxResults: 7 })), { MaxResults: '7' }],
    ];
    for (const [service, action, send, input] of calls)
      it(`${service} ${action}`, async () => {
        const heard = hear(service, action);
        await send(clients);
        expect(heard).to.have.length(1);
        for (const [key, value] of Object.entries(input)) expect(heard[0]?.input[key]).to.deep.equal(value);
      });

    it('metrics in a body that the client compressed', async () => {
      const heard = hear('monitoring', 'PutMetricData');
      const MetricData = Array.from({ length: 400 }, (_, i) => ({ MetricName: `m${i}`, Value: i }));
      await clients.metrics.send(new PutMetricDataCommand({ Namespace: 'test', MetricData }));
      expect(heard[0]?.headers['content-encoding']).to.equal('gzip');
      expect(heard[0]?.input['MetricData']).to.deep.equal(MetricData);
    });

    it('objects byte for byte, with their sizes and conditions', async () => {
      const body = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7919) % 256));
      const at = { Bucket: 'objects', Key: 'a b/ü+%2F.bin' };
      await clients.objects.send(
        new CreateBucketCommand({ Bucket: at.Bucket, CreateBucketConfiguration: { LocationConstraint: region } }),
      );
      await clients.objects.send(new PutObjectCommand({ ...at, Body: body, Metadata: { colour: 'blue' } }));
      const { Body, Metadata } = await clients.objects.send(new GetObjectCommand(at));
      expect(Buffer.from((await Body?.transformToByteArray()) ?? []).equals(body)).to.equal(true);
      expect(Metadata).to.deep.equal({ colour: 'blue' });
      expect((await clients.objects.send(new HeadObjectCommand(at))).ContentLength).to.equal(body.length);
      const { Contents } = await clients.objects.send(new ListObjectsV2Command({ Bucket: at.Bucket }));
      expect(Contents?.map(({ Key }) => Key)).to.deep.equal([at.Key]);
      const taken = await failure(clients.objects.send(new PutObjectCommand({ ...at, Body: 'x', IfNoneMatch: '*' })));
      expect(codeOf(taken)).to.equal('PreconditionFailed');
    });

    it('writes of one object one after another, as moto does not judge their conditions atomically', async () => {
      let [now, most] = [0, 0];
      const store = createServer((_, response) => {
        most = Math.max(most, (now += 1));
        setTimeout(() => {
          now -= 1;
          response.setHeader('etag', '"0"').end();
        }, 20);
      });
      store.listen(0, '127.0.0.1');
      await eventOnce(store, 'listening');
      const front = await startGateway({ moto: `http://127.0.0.1:${(store.address() as AddressInfo).port}` });
      const { objects } = createClients({ region, endpoint: front.endpoint, credentials });
      const put = (Key: string) => objects.send(new PutObjectCommand({ Bucket: 'races', Key, Body: Key }));
      try {
        await Promise.all(['a', 'a', 'a', 'a'].map(put));
        expect(most).to.equal(1);
        await Promise.all(['a', 'b', 'c', 'd'].map(put));
        expect(most).to.be.greaterThan(1);
      } finally {
        objects.destroy();
        await front.close();
        store.close();
      }
    });

    it('queues, whose addresses lead back through the gateway', async () => {
      const { QueueUrl } = await clients.queues.send(new CreateQueueCommand({ QueueName: 'back' }));
      expect(QueueUrl).to.equal(`${gateway.endpoint}/${accountId}/back`);
      const heard = hear('sqs', 'SendMessage', 'ReceiveMessage');
      await clients.queues.send(new SendMessageCommand({ QueueUrl, MessageBody: 'hello' }));
      const { Messages } = await clients.queues.send(new ReceiveMessageCommand({ QueueUrl }));
      expect(Messages?.[0]?.Body).to.equal('hello');
      expect(heard.map(({ action }) => action)).to.deep.equal(['SendMessage', 'ReceiveMessage']);
    });
  });

  describe('hooks', () => {
    const list = () => clients.containers.send(new ListClustersCommand({}));
    const named = (name: string) => ({
      status: 200,
      headers: { 'content-type': 'application/x-amz-json-1.1' },
      body: Buffer.from(JSON.stringify({ clusterArns: [name] })),
    });

    it('can take the place of moto, before it is asked', async () => {
      const hook: Hook = {
        service: 'ecs',
        actions: ['CreateCluster'],
        before: () => Promise.resolve({ ...named('x'), body: Buffer.from('{"cluster":{"clusterName":"mine"}}') }),
      };
      gateway.use([hook]);
      const { cluster } = await clients.containers.send(new CreateClusterCommand({ clusterName: 'theirs' }));
      expect(cluster?.clusterName).to.equal('mine');
      expect((await list()).clusterArns).to.not.include(`arn:aws:ecs:${region}:${accountId}:cluster/theirs`);
    });

    it('change its answer afterwards, each what the one before made of it', async () => {
      const add = (name: string): Hook => ({
        service: 'ecs',
        actions: ['ListClusters'],
        after: (_, { body }) => {
          const { clusterArns } = JSON.parse(body.toString()) as { clusterArns: string[] };
          return Promise.resolve(named([...clusterArns, name].join('+')));
        },
      });
      gateway.use([add('a'), add('b'), { ...add('c'), service: 'rds' }]);
      expect((await list()).clusterArns).to.deep.equal([['a', 'b'].join('+')]);
    });

    it('are not run after an error of moto', async () => {
      let ran = 0;
      const after = () => Promise.resolve(void ran++);
      gateway.use([{ service: 'secretsmanager', actions: ['GetSecretValue'], after }]);
      const missing = await failure(clients.secrets.send(new GetSecretValueCommand({ SecretId: 'none' })));
      expect(codeOf(missing)).to.equal('ResourceNotFoundException');
      expect(ran).to.equal(0);
    });

    it('that fail say so, once, and are remembered', async () => {
      const before = () => Promise.reject(new Error('no disk'));
      gateway.use([{ service: 'ecs', actions: ['ListClusters'], before }]);
      const error = await failure(list());
      expect(codeOf(error)).to.equal('HookFailed');
      expect(error.message).to.contain('ecs ListClusters: no disk');
      expect(gateway.hookErrors).to.have.length(1);
    });
  });

  describe('faults', () => {
    const identity = () => clients.identity.send(new GetCallerIdentityCommand({}));
    const kinds: FaultKind[] = ['throttling', 'internal', 'unavailable', 'drop', 'answer-lost'];
    for (const kind of kinds)
      it(`${kind}: the client repeats the call until it comes through`, async () => {
        const fault = gateway.faults.add({ kind, service: 'sts', times: 2 });
        expect((await identity()).Account).to.equal(accountId);
        expect(fault.struck).to.equal(2);
        expect(fault.attempts).to.have.length(3);
      });

    it('that last are given up after the bounded number of attempts', async () => {
      const fault = gateway.faults.add({ kind: 'throttling', service: 'sts' });
      const error = await withoutBackoff(() => failure(identity()));
      expect(codeOf(error)).to.equal('Throttling');
      expect(fault.attempts).to.have.length(maxAttempts);
      fault.remove();
      expect((await identity()).Account).to.equal(accountId);
    });

    it('a call that nobody answers is repeated, and given up after the bounded number of attempts', async () => {
      let asked = 0;
      const silent = createServer(() => asked++).listen(0, '127.0.0.1');
      await eventOnce(silent, 'listening');
      const { identity: client } = createClients({
        region,
        endpoint: `http://127.0.0.1:${(silent.address() as AddressInfo).port}`,
        credentials,
      });
      const error = await withoutBackoff(() =>
        failure(client.send(new GetCallerIdentityCommand({}), { requestTimeout: 100 })),
      );
      client.destroy();
      silent.close();
      expect(codeOf(error)).to.equal('ETIMEDOUT');
      expect(asked).to.equal(maxAttempts);
    });

    it('an expired token is told at once, not repeated', async () => {
      const fault = gateway.faults.add({ kind: 'expired-token', service: 'sts' });
      expect(codeOf(await failure(identity()))).to.equal('ExpiredToken');
      expect(fault.attempts).to.have.length(1);
    });

    it('a slow call is carried out all the same, and holds up no other', async () => {
      const fault = gateway.faults.add({ kind: 'slow', service: 'sts', delayMs: 2000, times: 1 });
      const ended: string[] = [];
      const slow = identity().then(() => ended.push('slow'));
      await clients.containers.send(new ListClustersCommand({})).then(() => ended.push('other'));
      await slow;
      expect(ended).to.deep.equal(['other', 'slow']);
      expect(fault.struck).to.equal(1);
    });

    it('an answer that is lost was carried out, one that is dropped was not', async () => {
      const heard = hear('sns', 'CreateTopic');
      gateway.faults.add({ kind: 'answer-lost', service: 'sns', times: 1 });
      await clients.topics.send(new CreateTopicCommand({ Name: 'lost' }));
      expect(heard).to.have.length(2);
      gateway.faults.add({ kind: 'drop', service: 'sns', times: 1 });
      await clients.topics.send(new CreateTopicCommand({ Name: 'dropped' }));
      expect(heard).to.have.length(3);
    });

    it('strike the action that they name', async () => {
      const fault = gateway.faults.add({ kind: 'throttling', service: 'ecs', action: 'CreateCluster', times: 1 });
      await clients.containers.send(new ListClustersCommand({}));
      expect(fault.struck).to.equal(0);
      await clients.containers.send(new CreateClusterCommand({ clusterName: 'struck' }));
      expect(fault.struck).to.equal(1);
    });

    // Each asked once only.
    const once = { region, credentials, maxAttempts: 1 };
    const words: [string, string, (endpoint: string) => Promise<unknown>][] = [
      [
        'ec2',
        'RequestLimitExceeded',
        (endpoint) => new EC2Client({ ...once, endpoint }).send(new DescribeVpcsCommand({})),
      ],
      [
        's3',
        'SlowDown',
        (endpoint) => new S3Client({ ...once, endpoint, forcePathStyle: true }).send(new ListBucketsCommand({})),
      ],
      [
        'rds',
        'Throttling',
        (endpoint) => new RDSClient({ ...once, endpoint }).send(new DescribeDBInstancesCommand({})),
      ],
      [
        'ecs',
        'ThrottlingException',
        (endpoint) => new ECSClient({ ...once, endpoint }).send(new ListClustersCommand({})),
      ],
      [
        'monitoring',
        'Throttling',
        (endpoint) => new CloudWatchClient({ ...once, endpoint }).send(new DescribeAlarmsCommand({})),
      ],
      [
        'route53',
        'Throttling',
        (endpoint) => new Route53Client({ ...once, endpoint }).send(new ListHostedZonesCommand({})),
      ],
    ];
    for (const [service, code, send] of words)
      it(`${service} says ${code} when it is asked too often`, async () => {
        gateway.faults.add({ kind: 'throttling', service });
        expect(codeOf(await failure(send(gateway.endpoint)))).to.equal(code);
      });
  });
});
