import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { CreateSubnetCommand, CreateVpcCommand } from '@aws-sdk/client-ec2';
import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateRuleCommand,
  CreateTargetGroupCommand,
  DeregisterTargetsCommand,
  DescribeTargetHealthCommand,
  ModifyRuleCommand,
  RegisterTargetsCommand,
  type Action,
  type RuleCondition,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { createClients, type Clients } from '../../infra/aws/runtime/client/clients.ts';
import { createCertificates } from '../../infra/local/lib/certificates.ts';
import { startAccount, type Account, type AccountOptions } from './account.ts';
import { freePort } from './moto.ts';
import { rawCalls, type Raw } from './raw-calls.ts';

interface Got {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/**
 * For tests of the balancer: an account with one balancer, a new listener on its own port for each test, and servers
 * that end with the test. Registers its mocha hooks where it is called.
 */
export function balancerTestbed(options: AccountOptions['balancer'] = {}) {
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
      balancer: { healthIntervalMs: 50, drainMs: 2000, ...options },
      metricsMs: 1000,
      alarmsMs: 200,
    });
    const pem = async (name: string) => Buffer.from(await read(name)).toString('base64');
    const imported = { Certificate: await pem('server.crt'), PrivateKey: await pem('server.key') };
    certificateArn = (await raw('acm', { 'x-amz-target': 'CertificateManager.ImportCertificate' }, imported))[
      'CertificateArn'
    ] as string;
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

  const raw: Raw = (...call) => rawCalls(account)(...call);

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
  const method = (...Values: string[]): RuleCondition => ({
    Field: 'http-request-method',
    HttpRequestMethodConfig: { Values },
  });
  const header = (HttpHeaderName: string, ...Values: string[]): RuleCondition => ({
    Field: 'http-header',
    HttpHeaderConfig: { HttpHeaderName, Values },
  });

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
    throw new Error(`timed out waiting until ${what}`);
  }
  const settled = (arn: string, ...states: string[]) =>
    until(`${arn} is ${states.join()}`, async () => {
      const found = (await health(arn)).map(({ TargetHealth }) => TargetHealth?.State);
      return found.join() === states.join();
    });

  /** A target group with one server, which no rule uses yet. */
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
  /** How often each text was the answer. */
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

  return {
    /** A number for unique names. */
    unique: () => names++,
    here: () => ({ account, clients, port, balancerArn, listenerArn, open }),
    raw,
    fixed,
    forward,
    path,
    method,
    header,
    rule,
    modify,
    group,
    serve,
    says,
    stop,
    target,
    register,
    deregister,
    health,
    until,
    settled,
    colour,
    get,
    tally,
  };
}
