import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, request as httpsRequest } from 'node:https';
import type { IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCertificates } from '../../../../../infra/local/lib/certificates.ts';
import { balancerCommand, balancerSocket, renderBalancer } from '../../../../../infra/local/haproxy/config.ts';
import { createLocalRouter } from '../../../../../infra/local/haproxy/router.ts';
import { Layout, type Ports } from '../../../../../infra/local/lib/layout.ts';
import { freePorts } from '../../../../../infra/lib/free-ports.ts';
import { prepareSocketDirectory } from '../../../../../infra/local/lib/socket-path.ts';
import { colours, type Colour, type EnvironmentSpec, type ServiceSpec } from '../../../../../infra/model.ts';

export const secret = 'test-route-secret';

const service = (name: string, route: string, instances: number): ServiceSpec => ({
  name,
  start: ['unused'],
  health: '/healthz',
  routes: [route],
  instances,
  database: false,
  env: {},
});

export const testSpec: EnvironmentSpec = {
  application: 'test',
  environment: 'staging',
  services: [service('web', '/', 1), service('api', '/api', 2)],
  integrations: [],
  writes: { reads: ['GET', 'HEAD', 'OPTIONS', 'TRACE'], paths: ['/api/touch'] },
  database: { maxConnections: 20 },
  slo: { errorRate: 0.01, p95Ms: 300 },
  alertReceivers: [],
};

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: { name?: string; method?: string; url?: string; headers?: IncomingHttpHeaders; writes?: number };
}

/** One instance of a service, as a process that says something once it listens. */
export interface InstancePlace {
  layout: Layout;
  ports: Ports;
  service: ServiceSpec;
  colour: Colour;
  port: number;
}

const echo = ({ service, colour, port }: InstancePlace, instance: string) => ({
  argv: [
    process.execPath,
    join(import.meta.dirname, 'backend.ts'),
    String(port),
    `${service.name}.${colour}.${instance}`,
  ],
  env: process.env,
});

/** A real balancer in front of real processes, in a directory of its own; `dispose` ends and removes all of it. */
export async function startTestbed(
  spec = testSpec,
  command: (place: InstancePlace, instance: string) => { argv: string[]; env: NodeJS.ProcessEnv } = echo,
) {
  const directory = await mkdtemp(join(tmpdir(), 'gl balancer-'));
  const layout = new Layout('staging', directory);
  const ports = await allocate(spec);
  const backends = new Map<string, ChildProcess>();
  let balancer: ChildProcess | undefined;
  const agents: Agent[] = [];

  const startBackend = async (name: string) => {
    const [serviceName, colour, instance] = name.split('.') as [string, Colour, string];
    const port = ports.instances[colour][serviceName]?.[Number(instance) - 1] as number;
    const service = spec.services.find((one) => one.name === serviceName) as ServiceSpec;
    const { argv, env } = command({ layout, ports, service, colour, port }, instance);
    const [program = '', ...args] = argv;
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    backends.set(name, child);
    await new Promise((resolve, reject) => child.stdout.once('data', resolve) && child.once('exit', reject));
  };
  const startBalancer = async () => {
    const [command, ...args] = balancerCommand(layout) as [string, ...string[]];
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    balancer = child;
    const log = createWriteStream(join(layout.logs(), 'balancer.log'), { flags: 'a' });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    await until(() => createLocalRouter(layout, spec).read());
  };
  const end = async (child: ChildProcess | undefined, signal: NodeJS.Signals) => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  };

  const bed = {
    layout,
    ports,
    spec,
    router: undefined as unknown as ReturnType<typeof createLocalRouter>,
    pidOf: (name: string) => backends.get(name)?.pid as number,
    balancerPid: () => balancer?.pid as number,
    killBackend: (name: string) => end(backends.get(name), 'SIGKILL'),
    startBackend,
    stopBalancer: () => end(balancer, 'SIGTERM'),
    startBalancer,
    /** Waits until the balancer sees the server as wanted. */
    untilHealthy: (name: string, wanted = true) =>
      until(async () => {
        const servers = (await bed.router.read()).servers;
        const server = servers.find((s) => `${s.service}.${s.colour}.${s.instance}` === name);
        if (server?.healthy !== wanted) throw new Error(`${name} is not ${wanted ? 'healthy' : 'unhealthy'}`);
      }),
    agent() {
      const agent = new Agent({ ca: readFileSync(layout.caFile()), keepAlive: true, maxSockets: 32 });
      agents.push(agent);
      return agent;
    },
    async dispose() {
      for (const agent of agents) agent.destroy();
      await end(balancer, 'SIGTERM');
      await Promise.all([...backends.values()].map((child) => end(child, 'SIGKILL')));
      await rm(directory, { recursive: true, force: true });
    },
  };
  try {
    await mkdir(layout.logs(), { recursive: true });
    await mkdir(layout.balancer(), { recursive: true });
    await mkdir(dirname(layout.secretFile('route')), { recursive: true });
    await writeFile(layout.secretFile('route'), `${secret}\n`, { mode: 0o600 });
    await writeFile(layout.portsFile(), JSON.stringify(ports));
    await createCertificates(layout.certificates());
    await prepareSocketDirectory(balancerSocket(layout));
    for (const [name, text] of Object.entries(renderBalancer({ spec, layout, ports }))) {
      await writeFile(join(layout.balancer(), name), text, { mode: 0o600 });
    }
    const names = colours.flatMap((colour) =>
      spec.services.flatMap((s) => Array.from({ length: s.instances }, (_, i) => `${s.name}.${colour}.${i + 1}`)),
    );
    await Promise.all(names.map(startBackend));
    bed.router = createLocalRouter(layout, spec);
    await startBalancer();
    for (const name of names) await bed.untilHealthy(name);
    return bed;
  } catch (error) {
    await bed.dispose();
    throw error;
  }
}

export type Testbed = Awaited<ReturnType<typeof startTestbed>>;

export interface Call {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  signal?: AbortSignal;
}

/** Sends one request to the entry point; rejects where the connection breaks. */
export function send(bed: Testbed, agent: Agent, path: string, call: Call = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: bed.ports.https, path, agent, method: call.method ?? 'GET' };
    const request = httpsRequest({ ...options, headers: call.headers, signal: call.signal }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => (text += part));
      response.on('error', reject);
      response.on('end', () => {
        const json = text !== '' && response.headers['content-type'] === 'application/json';
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: json ? (JSON.parse(text) as Answer['body']) : {},
        });
      });
    });
    request.on('error', reject);
    request.end(call.body);
  });
}

/** Runs `task` until it does not reject; rejects with its last error after ten seconds. */
export async function until<T>(task: () => Promise<T>, ms = 10_000): Promise<T> {
  const deadline = Date.now() + ms;
  for (;;) {
    try {
      return await task();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(25);
    }
  }
}

async function allocate(spec: EnvironmentSpec): Promise<Ports> {
  const wanted = spec.services.reduce((sum, s) => sum + s.instances, 0) * 2 + 8;
  const free = await freePorts(wanted);
  const next = () => free.pop() as number;
  const instances = () =>
    Object.fromEntries(spec.services.map((s) => [s.name, Array.from({ length: s.instances }, next)]));
  return {
    https: next(),
    http: next(),
    balancerMetrics: next(),
    prometheus: next(),
    alertmanager: next(),
    alertReceiver: next(),
    database: { blue: next(), green: next() },
    instances: { blue: instances(), green: instances() },
    integrations: {},
  };
}
