import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { GetMetricDataCommand, PutMetricAlarmCommand, SetAlarmStateCommand } from '@aws-sdk/client-cloudwatch';
import { CreateSubnetCommand, CreateVpcCommand } from '@aws-sdk/client-ec2';
import {
  AddTagsCommand,
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateRuleCommand,
  CreateTargetGroupCommand,
  DeleteRuleCommand,
  DeregisterTargetsCommand,
  DescribeTargetHealthCommand,
  ModifyListenerCommand,
  ModifyRuleCommand,
  ModifyTargetGroupAttributesCommand,
  RegisterTargetsCommand,
  SetRulePrioritiesCommand,
  type Action,
  type RuleCondition,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { CreateTopicCommand, SubscribeCommand } from '@aws-sdk/client-sns';
import { CreateQueueCommand, GetQueueAttributesCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { createClients, type Clients } from '../../../infra/aws/runtime/clients.ts';
import { createCertificates } from '../../../infra/local/certificates.ts';
import { startAccount, type Account } from '../../aws/account/account.ts';
import { suffixOf } from '../../aws/account/balancer-model.ts';
import { freePort } from '../../aws/account/moto.ts';

interface Got {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

describe("the emulated account's load balancer", function () {
  this.timeout(120_000);
  let directory: string;
  let ca: string;
  let account: Account;
  let clients: Clients;
  let agent: Agent;
  let port: number;
  let vpc: string;
  let balancerArn: string;
  let listenerArn: string;
  let certificateArn: string;
  const open: Server[] = [];
  let names = 0;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'greenlight-balancer-'));
    await createCertificates(join(directory, 'tls'));
    const read = (name: string) => readFile(join(directory, 'tls', name), 'utf8');
    ca = await read('ca.pem');
    account = await startAccount({
      certificate: { cert: await read('server.crt'), key: await read('server.key') },
      balancer: { healthIntervalMs: 50, drainMs: 2000 },
      metricsMs: 1000,
      alarmsMs: 200,
    });
    const pem = async (name: string) => Buffer.from(await read(name)).toString('base64');
    const imported = { Certificate: await pem('server.crt'), PrivateKey: await pem('server.key') };
    certificateArn = (await raw('acm', { 'x-amz-target': 'CertificateManager.ImportCertificate' }, imported))['CertificateArn'] as string; // prettier-ignore
    const credentials = { accessKeyId: 'a', secretAccessKey: 'a' };
    clients = createClients({ region: account.region, endpoint: account.endpoint, credentials });
    agent = new Agent({ keepAlive: true, maxSockets: 32, ca });
    const { Vpc } = await clients.network.send(new CreateVpcCommand({ CidrBlock: '10.0.0.0/16' }));
    vpc = Vpc?.VpcId ?? '';
    const subnet = async (zone: string, CidrBlock: string) =>
      (await clients.network.send(new CreateSubnetCommand({ VpcId: vpc, CidrBlock, AvailabilityZone: zone }))).Subnet
        ?.SubnetId ?? '';
    const Subnets = [await subnet('eu-central-1a', '10.0.0.0/24'), await subnet('eu-central-1b', '10.0.1.0/24')];
    const made = await clients.balancer.send(new CreateLoadBalancerCommand({ Name: 'entry', Subnets }));
    balancerArn = made.LoadBalancers?.[0]?.LoadBalancerArn ?? '';
  });
  after(async () => {
    agent?.destroy();
    for (const client of Object.values(clients ?? {}) as { destroy(): void }[]) client.destroy();
    await account?.close();
    if (directory) await rm(directory, { recursive: true, force: true });
  });
  beforeEach(async () => {
    port = await freePort();
    const made = await clients.balancer.send(
      new CreateListenerCommand({
        LoadBalancerArn: balancerArn,
        Port: port,
        Protocol: 'HTTPS',
        Certificates: [{ CertificateArn: certificateArn }],
        DefaultActions: [fixed('503', 'Not live yet.')],
      }),
    );
    listenerArn = made.Listeners?.[0]?.ListenerArn ?? '';
  });
  afterEach(async () => {
    for (const server of open.splice(0)) await stop(server);
    expect(account.errors()).to.deep.equal([]);
  });

  /** A call for which the project has no client. */
  async function raw(
    service: string,
    headers: Record<string, string>,
    input: object,
    to = '/',
  ): Promise<Record<string, unknown>> {
    const authorization = `AWS4-HMAC-SHA256 Credential=a/20260101/${account.region}/${service}/aws4_request, SignedHeaders=host, Signature=a`;
    const form = input instanceof URLSearchParams;
    const response = await fetch(`${account.endpoint}${to}`, {
      method: 'POST',
      headers: { authorization, ...(form ? {} : { 'content-type': 'application/x-amz-json-1.1' }), ...headers },
      body: form ? input : JSON.stringify(input),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${service}: ${response.status} ${text}`);
    return form ? { text } : (JSON.parse(text) as Record<string, unknown>);
  }

  const fixed = (StatusCode: string, MessageBody = ''): Action => ({
    Type: 'fixed-response',
    FixedResponseConfig: { StatusCode, ContentType: 'text/plain', MessageBody },
  });
  const forward = (weights: Record<string, number>, seconds?: number): Action => ({
    Type: 'forward',
    ForwardConfig: {
      TargetGroups: Object.entries(weights).map(([TargetGroupArn, Weight]) => ({ TargetGroupArn, Weight })),
      TargetGroupStickinessConfig: { Enabled: seconds !== undefined, DurationSeconds: seconds ?? 60 },
    },
  });
  const path = (...Values: string[]): RuleCondition => ({ Field: 'path-pattern', PathPatternConfig: { Values } });
  const method = (...Values: string[]): RuleCondition => ({ Field: 'http-request-method', HttpRequestMethodConfig: { Values } }); // prettier-ignore
  const header = (HttpHeaderName: string, ...Values: string[]): RuleCondition => ({ Field: 'http-header', HttpHeaderConfig: { HttpHeaderName, Values } }); // prettier-ignore

  async function rule(Priority: number, Conditions: RuleCondition[], action: Action): Promise<string> {
    const command = new CreateRuleCommand({ ListenerArn: listenerArn, Priority, Conditions, Actions: [action] });
    return (await clients.balancer.send(command)).Rules?.[0]?.RuleArn ?? '';
  }
  const modify = (RuleArn: string, action: Action) =>
    clients.balancer.send(new ModifyRuleCommand({ RuleArn, Actions: [action] }));

  async function group(type: 'ip' | 'lambda' = 'ip'): Promise<string> {
    const Name = `group-${names++}`;
    const ofAddresses = {
      Protocol: 'HTTP' as const,
      Port: 8080,
      VpcId: vpc,
      HealthCheckPath: '/health',
      HealthCheckIntervalSeconds: 5,
      HealthCheckTimeoutSeconds: 4,
      HealthyThresholdCount: 2,
      UnhealthyThresholdCount: 2,
      Matcher: { HttpCode: '200' },
    };
    const made = await clients.balancer.send(
      new CreateTargetGroupCommand({ Name, TargetType: type, ...(type === 'ip' ? ofAddresses : {}) }),
    );
    return made.TargetGroups?.[0]?.TargetGroupArn ?? '';
  }

  async function serve(listener: RequestListener): Promise<{ server: Server; port: number }> {
    const server = createServer(listener);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    open.push(server);
    return { server, port: (server.address() as AddressInfo).port };
  }
  const says = (text: string) =>
    serve((incoming, response) => {
      incoming.resume().on('end', () => response.end(incoming.url === '/health' ? 'ok' : text));
    });
  async function stop(server: Server): Promise<void> {
    if (!server.listening) return;
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  }

  const target = (of: number) => [{ Id: '127.0.0.1', Port: of }];
  const register = (TargetGroupArn: string, of: number) =>
    clients.balancer.send(new RegisterTargetsCommand({ TargetGroupArn, Targets: target(of) }));
  const deregister = (TargetGroupArn: string, of: number) =>
    clients.balancer.send(new DeregisterTargetsCommand({ TargetGroupArn, Targets: target(of) }));
  const health = async (TargetGroupArn: string) =>
    (await clients.balancer.send(new DescribeTargetHealthCommand({ TargetGroupArn }))).TargetHealthDescriptions ?? [];
  async function until<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
    for (let i = 0; i < 400; i++) {
      const found = await look();
      if (found !== undefined && found !== false) return found;
      await delay(50);
    }
    throw new Error(`waited in vain until ${what}`);
  }
  const settled = (arn: string, ...states: string[]) =>
    until(`${arn} is ${states.join()}`, async () => {
      const found = (await health(arn)).map(({ TargetHealth }) => TargetHealth?.State);
      return found.join() === states.join();
    });

  /** A group of one server each, not in use yet. */
  async function colour(text: string) {
    const arn = await group();
    const { port: of, server } = await says(text);
    await register(arn, of);
    return { arn, port: of, server };
  }

  function get(url: string, options: { method?: string; headers?: Record<string, string>; body?: string } = {}) {
    return new Promise<Got>((resolve, reject) => {
      const { method = 'GET', headers = {}, body } = options;
      const asked = request(
        { host: '127.0.0.1', servername: 'localhost', port, path: url, method, headers, agent },
        (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => (text += chunk));
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
          );
          response.on('error', reject);
        },
      );
      asked.on('error', reject);
      asked.end(body);
    });
  }
  /** How often each text came. */
  async function tally(n: number, url = '/'): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    const workers = Array.from({ length: 16 }, async (_, worker) => {
      for (let i = worker; i < n; i += 16) {
        const { status, body } = await get(url);
        const key = status === 200 ? body : String(status);
        counts[key] = (counts[key] ?? 0) + 1;
      }
    });
    await Promise.all(workers);
    return counts;
  }

  describe('rules', () => {
    it('the first by priority whose conditions all hold, else the default', async () => {
      expect(await get('/')).to.include({ status: 503, body: 'Not live yet.' });
      await rule(30, [path('/api/*')], fixed('200', 'api'));
      const writes = await rule(20, [path('/api/*'), method('POST', 'PUT')], fixed('200', 'writes'));
      await rule(10, [path('/api/a?c'), header('X-Colour', 'gr*n')], fixed('200', 'header'));
      await rule(40, [header('cookie', '*wrote=*')], fixed('200', 'cookie'));
      const body = async (...args: Parameters<typeof get>) => (await get(...args)).body;
      expect(await body('/api/x?y=1')).to.equal('api');
      expect(await body('/API/x')).to.equal('Not live yet.');
      expect(await body('/api/x', { method: 'POST' })).to.equal('writes');
      expect(await body('/api/abc', { headers: { 'x-colour': 'GREEN' } })).to.equal('header');
      expect(await body('/api/abbc', { headers: { 'x-colour': 'green' } })).to.equal('api');
      expect(await body('/x', { headers: { cookie: 'a=b; wrote=1' } })).to.equal('cookie');
      await clients.balancer.send(
        new SetRulePrioritiesCommand({ RulePriorities: [{ RuleArn: writes, Priority: 50 }] }),
      );
      expect(await body('/api/x', { method: 'POST' })).to.equal('api');
      await clients.balancer.send(new DeleteRuleCommand({ RuleArn: writes }));
      expect(await body('/x', { method: 'POST' })).to.equal('Not live yet.');
      await clients.balancer.send(
        new ModifyListenerCommand({ ListenerArn: listenerArn, DefaultActions: [fixed('404', 'none')] }),
      );
      expect(await get('/x')).to.include({ status: 404, body: 'none' });
    });

    it('redirects, with what was asked for filled in', async () => {
      const RedirectConfig = { Protocol: 'HTTPS', Port: '444', Host: 'www.#{host}', Path: '/new/#{path}', StatusCode: 'HTTP_301' as const }; // prettier-ignore
      await rule(10, [path('/old/*')], { Type: 'redirect', RedirectConfig });
      const { status, headers } = await get('/old/a?b=c', { headers: { host: 'example.org:1' } });
      expect(status).to.equal(301);
      expect(headers.location).to.equal('https://www.example.org:444/new/old/a?b=c');
    });

    it('more of them than one page of the API holds', async () => {
      for (let i = 1; i <= 55; i++) await rule(i, [path(`/${i}`)], fixed('200', String(i)));
      expect((await get('/54')).body).to.equal('54');
    });
  });

  describe('forwarding', () => {
    it('splits by weight', async () => {
      const [blue, green] = [await colour('blue'), await colour('green')];
      const arn = await rule(10, [path('/*')], forward({ [blue.arn]: 90, [green.arn]: 10 }));
      await settled(blue.arn, 'healthy');
      await settled(green.arn, 'healthy');
      const { blue: toBlue = 0, green: toGreen = 0, ...others } = await tally(1000);
      expect(others).to.deep.equal({});
      expect(toBlue + toGreen).to.equal(1000);
      // Five standard deviations: chance goes beyond them once in a million times.
      expect(toGreen).to.be.within(100 - 5 * 9.5, 100 + 5 * 9.5);
      await modify(arn, forward({ [blue.arn]: 0, [green.arn]: 100 }));
      expect(await tally(50)).to.deep.equal({ green: 50 });
    });

    it('no request fails while weights change under load', async () => {
      const [blue, green] = [await colour('blue'), await colour('green')];
      const arn = await rule(10, [path('/*')], forward({ [blue.arn]: 1 }));
      await rule(20, [path('/none')], forward({ [green.arn]: 1 }));
      await settled(blue.arn, 'healthy');
      await settled(green.arn, 'healthy');
      const counts = tally(2000);
      for (const share of [10, 50, 90, 100])
        await modify(arn, forward({ [blue.arn]: 100 - share, [green.arn]: share }));
      expect(Object.keys(await counts)).to.have.members(['blue', 'green']);
    });

    it('keeps a client with its group by cookie, as long as it lasts and whatever the weights', async () => {
      const [blue, green] = [await colour('blue'), await colour('green')];
      const arn = await rule(10, [path('/*')], forward({ [blue.arn]: 1, [green.arn]: 0 }, 1));
      await settled(blue.arn, 'healthy');
      await settled(green.arn, 'healthy');
      const [set = ''] = (await get('/')).headers['set-cookie'] ?? [];
      const headers = { cookie: `a=b; ${set.split(';')[0]}` };
      expect(set).to.match(/^AWSALBTG=/);
      await modify(arn, forward({ [blue.arn]: 0, [green.arn]: 1 }, 1));
      expect((await get('/', { headers })).body).to.equal('blue');
      expect((await get('/')).body).to.equal('green');
      await until('the cookie has lost its force', async () => (await get('/', { headers })).body === 'green');
      await modify(arn, forward({ [green.arn]: 1 }));
      expect((await get('/')).headers['set-cookie']).to.equal(undefined);
    });

    it('passes requests on as they came, and says where from', async () => {
      const arn = await group();
      const { port: of } = await serve((incoming, response) => {
        let body = '';
        incoming.on('data', (chunk: Buffer) => (body += chunk.toString()));
        incoming.on('end', () => {
          response.setHeader('set-cookie', ['a=1', 'b=2']);
          response.end(JSON.stringify({ ...incoming.headers, method: incoming.method, url: incoming.url, body }));
        });
      });
      await register(arn, of);
      await rule(10, [path('/*')], forward({ [arn]: 1 }));
      await settled(arn, 'healthy');
      const headers = { host: 'shop.example.org', 'x-forwarded-for': '10.1.1.1', 'x-own': 'é'.normalize('NFC') };
      const got = await get('/a%2Fb?c=d', { method: 'PUT', headers: { ...headers, 'x-own': '1' }, body: 'hello' });
      expect(got.headers['set-cookie']).to.deep.equal(['a=1', 'b=2']);
      expect(JSON.parse(got.body)).to.include({
        method: 'PUT',
        url: '/a%2Fb?c=d',
        body: 'hello',
        host: 'shop.example.org',
        'x-own': '1',
        'x-forwarded-for': '10.1.1.1, 127.0.0.1',
        'x-forwarded-proto': 'https',
        'x-forwarded-port': String(port),
      });
    });

    /** The fence's function, made as the foundation makes it. */
    async function fenceFunction(): Promise<string> {
      const RoleName = `fence-${names++}`;
      const fields = { Action: 'CreateRole', Version: '2010-05-08', RoleName, AssumeRolePolicyDocument: '{"Statement":[]}' }; // prettier-ignore
      const { text } = await raw('iam', {}, new URLSearchParams(fields));
      const Variables = { LISTENER_ARN: listenerArn, LEASE_TAG: 'until', FENCE_UP: '1000', FENCE_END: '2000', FENCE_DOWN: '40000' }; // prettier-ignore
      const made = await raw('lambda', { 'content-type': 'application/json' }, {
        FunctionName: RoleName,
        Runtime: 'nodejs22.x',
        Role: /<Arn>(.*)<\/Arn>/.exec(text as string)?.[1],
        Handler: 'index.handler',
        Code: { ZipFile: Buffer.from('none').toString('base64') },
        Environment: { Variables },
      }, '/2015-03-31/functions'); // prettier-ignore
      return made['FunctionArn'] as string;
    }

    it('holds writes by the fence of the product, which lowers itself when its lease is over', async () => {
      const [blue, held] = [await colour('blue'), await group('lambda')];
      const Targets = [{ Id: await fenceFunction() }];
      await clients.balancer.send(new RegisterTargetsCommand({ TargetGroupArn: held, Targets }));
      await rule(2000, [path('/*')], forward({ [blue.arn]: 1 }));
      const fence = await rule(40_000, [method('POST')], forward({ [held]: 1 }));
      const write = async () => {
        const { status, headers, body } = await get('/', { method: 'POST', body: 'x' });
        return status === 200 ? body : [status, headers['retry-after'], headers['x-greenlight-fence']].join(' ');
      };
      const lease = (until: number) =>
        clients.balancer.send(new AddTagsCommand({ ResourceArns: [fence], Tags: [{ Key: 'until', Value: String(until) }] })); // prettier-ignore
      await settled(blue.arn, 'healthy');
      expect(await write()).to.equal('blue');
      await lease(Date.now() + 3_600_000);
      await clients.balancer.send(
        new SetRulePrioritiesCommand({ RulePriorities: [{ RuleArn: fence, Priority: 1000 }] }),
      );
      expect(await write()).to.equal('503 1 up');
      expect((await get('/')).body).to.equal('blue');
      await lease(Date.now() - 1);
      await until('the fence lowers itself', async () => (await write()) === '503 1 lowered');
      expect(await write()).to.equal('blue');
    });
  });

  describe('targets', () => {
    it('are checked once their group is in use, take turns, and are left out when they fail', async () => {
      const arn = await group();
      let broken = false;
      const one = await serve((incoming, response) => {
        if (broken && incoming.url === '/health') response.writeHead(500).end();
        else response.end('one');
      });
      const two = await says('two');
      await register(arn, one.port);
      await register(arn, two.port);
      await settled(arn, 'unused', 'unused');
      await rule(10, [path('/*')], forward({ [arn]: 1 }));
      await settled(arn, 'healthy', 'healthy');
      expect(await tally(100)).to.deep.equal({ one: 50, two: 50 });
      broken = true;
      await settled(arn, 'unhealthy', 'healthy');
      expect((await health(arn))[0]?.TargetHealth).to.deep.equal({
        State: 'unhealthy',
        Reason: 'Target.ResponseCodeMismatch',
        Description: 'Health checks failed with these codes: [500]',
      });
      expect(await tally(50)).to.deep.equal({ two: 50 });
      broken = false;
      await settled(arn, 'healthy', 'healthy');
    });

    it('none: 503; one that breaks the connection: 502', async () => {
      const arn = await group();
      await rule(10, [path('/*')], forward({ [arn]: 1 }));
      expect((await get('/')).status).to.equal(503);
      const { port: of } = await serve((incoming, response) => {
        if (incoming.url === '/health') response.end();
        else incoming.socket.destroy();
      });
      await register(arn, of);
      await settled(arn, 'healthy');
      expect((await get('/')).status).to.equal(502);
      // All of them unhealthy: it still tries.
      await stop(open.pop() as Server);
      await settled(arn, 'unhealthy');
      expect((await get('/')).status).to.equal(502);
    });

    it('that are taken out end what they have begun, get nothing new, and are gone after the delay', async () => {
      const arn = await group();
      let finish: (() => void) | undefined;
      const slow = await serve((incoming, response) => {
        if (incoming.url === '/slow') finish = () => response.end('slow');
        else response.end('one');
      });
      const other = await says('other');
      await register(arn, slow.port);
      await rule(10, [path('/*')], forward({ [arn]: 1 }));
      await settled(arn, 'healthy');
      await register(arn, other.port);
      await settled(arn, 'healthy', 'healthy');
      const answers = [get('/slow'), get('/slow')].map((answer) => answer.then(({ body }) => body));
      await until('the slow request is there', () => Promise.resolve(finish !== undefined));
      await deregister(arn, slow.port);
      await settled(arn, 'draining', 'healthy');
      expect(await tally(20)).to.deep.equal({ other: 20 });
      finish?.();
      expect(await Promise.all(answers)).to.have.members(['slow', 'other']);
      await settled(arn, 'healthy');
      const TargetGroupArn = arn;
      const gone = await clients.balancer.send(
        new DescribeTargetHealthCommand({ TargetGroupArn, Targets: target(slow.port) }),
      );
      expect(gone.TargetHealthDescriptions?.[0]?.TargetHealth?.Reason).to.equal('Target.NotRegistered');
    });

    it('have the delay of their group', async () => {
      const { arn, port: of } = await colour('blue');
      const Attributes = [{ Key: 'deregistration_delay.timeout_seconds', Value: '0' }];
      await clients.balancer.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn: arn, Attributes }));
      await rule(10, [path('/*')], forward({ [arn]: 1 }));
      await settled(arn, 'healthy');
      await deregister(arn, of);
      await settled(arn);
    });
  });

  describe('CloudWatch', () => {
    const dimensions = (groupArn: string) => [
      { Name: 'TargetGroup', Value: suffixOf(groupArn) },
      { Name: 'LoadBalancer', Value: suffixOf(balancerArn) },
    ];

    it('has what the balancer saw, percentiles too', async () => {
      const arn = await group();
      const { port: of } = await serve((incoming, response) => {
        if (incoming.url === '/bad') response.writeHead(500);
        setTimeout(() => response.end(), incoming.url === '/slow' ? 300 : 0);
      });
      await register(arn, of);
      await rule(10, [path('/*')], forward({ [arn]: 1 }));
      await settled(arn, 'healthy');
      const StartTime = new Date(Math.floor(Date.now() / 1000) * 1000);
      for (let i = 0; i < 18; i++) await get('/');
      await get('/slow');
      await get('/bad');
      const stat = (Id: string, MetricName: string, Stat: string) => ({
        Id,
        MetricStat: {
          Metric: { Namespace: 'AWS/ApplicationELB', MetricName, Dimensions: dimensions(arn) },
          Period: 60,
          Stat,
        },
      });
      const values = await until('all 20 requests are told', async () => {
        const { MetricDataResults = [] } = await clients.metrics.send(
          new GetMetricDataCommand({
            StartTime,
            EndTime: new Date(StartTime.getTime() + 60_000),
            MetricDataQueries: [
              stat('requests', 'RequestCount', 'Sum'),
              stat('errors', 'HTTPCode_Target_5XX_Count', 'Sum'),
              stat('good', 'HTTPCode_Target_2XX_Count', 'Sum'),
              stat('median', 'TargetResponseTime', 'p50'),
              stat('worst', 'TargetResponseTime', 'p99.9'),
              stat('hosts', 'HealthyHostCount', 'Minimum'),
            ],
          }),
        );
        const first = Object.fromEntries(MetricDataResults.map(({ Id, Values }): [string, number | undefined] => [Id ?? '', Values?.[0]])); // prettier-ignore
        const times = new Set(MetricDataResults.map(({ Timestamps }) => Timestamps?.[0]?.getTime()));
        expect([...times].filter((time) => time !== undefined)).to.have.lengthOf.at.most(1);
        return first['requests'] === 20 && first;
      });
      expect(values).to.include({ requests: 20, errors: 1, good: 19, hosts: 1 });
      expect(values['median']).to.be.lessThan(0.29);
      expect(values['worst']).to.be.greaterThan(0.25);
    });

    async function alarmOn(groupArn: string, threshold: number) {
      const { TopicArn } = await clients.topics.send(new CreateTopicCommand({ Name: `alarms-${names}` }));
      const { QueueUrl } = await clients.queues.send(new CreateQueueCommand({ QueueName: `alarms-${names}` }));
      const { Attributes } = await clients.queues.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] })); // prettier-ignore
      await clients.topics.send(new SubscribeCommand({ TopicArn, Protocol: 'sqs', Endpoint: Attributes?.QueueArn }));
      const AlarmName = `tasks-${names++}`;
      await clients.metrics.send(
        new PutMetricAlarmCommand({
          AlarmName,
          Namespace: 'AWS/ApplicationELB',
          MetricName: 'HealthyHostCount',
          Dimensions: dimensions(groupArn),
          Statistic: 'Minimum',
          ComparisonOperator: 'LessThanThreshold',
          Threshold: threshold,
          Period: 60,
          EvaluationPeriods: 3,
          DatapointsToAlarm: 2,
          TreatMissingData: 'breaching',
          AlarmActions: [TopicArn ?? ''],
          OKActions: [TopicArn ?? ''],
        }),
      );
      const next = () =>
        until(`${AlarmName} tells`, async () => {
          const { Messages } = await clients.queues.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 1 }));
          const [message] = Messages ?? [];
          if (message === undefined) return undefined;
          const { Message } = JSON.parse(message.Body ?? '') as { Message: string };
          return JSON.parse(Message) as Record<string, unknown>;
        });
      return { AlarmName, next };
    }

    it('raises the alarm of a target that stopped, and ends it', async () => {
      const { arn, server, port: of } = await colour('blue');
      await rule(10, [path('/*')], forward({ [arn]: 1 }));
      const { AlarmName, next } = await alarmOn(arn, 1);
      await settled(arn, 'healthy');
      await stop(server);
      const raised = await next();
      expect(raised).to.include({ AlarmName, NewStateValue: 'ALARM', OldStateValue: 'OK', Region: account.region });
      expect(raised['Trigger']).to.deep.include({
        MetricName: 'HealthyHostCount',
        Dimensions: dimensions(arn).map(({ Name, Value }) => ({ value: Value, name: Name })),
      });
      server.listen(of, '127.0.0.1');
      expect(await next()).to.include({ NewStateValue: 'OK', OldStateValue: 'ALARM' });
    });

    it('tells of a state that was set, once', async () => {
      const idle = await group();
      const { AlarmName, next } = await alarmOn(idle, 1);
      const set = (StateValue: 'ALARM' | 'OK') => clients.metrics.send(new SetAlarmStateCommand({ AlarmName, StateValue, StateReason: 'proof' })); // prettier-ignore
      await set('ALARM');
      await set('ALARM');
      await set('OK');
      expect(await next()).to.include({ NewStateValue: 'ALARM', NewStateReason: 'proof' });
      expect(await next()).to.include({ NewStateValue: 'OK', OldStateValue: 'ALARM' });
    });
  });
});
