import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { bareEnvironment } from '../../lib/child-environment.ts';
import { databaseUrl } from '../../application/database-url.ts';
import { OperationError } from '../../lib/errors.ts';
import type { Artefact, EnvironmentSpec, ServiceSpec } from '../../model.ts';
import type { DatabaseAccess } from '../../platform/databases.ts';
import type { Preview, Previews } from '../../platform/jobs.ts';
import type { Layout } from '../lib/layout.ts';
import { processEnvironment, sessionVariables } from '../lib/process-environment.ts';
import { freePorts } from '../../lib/free-ports.ts';
import { until } from '../../lib/poll.ts';

/** How long the services of a preview may take to become healthy. */
const readyMs = 30_000;
/** Time between SIGTERM and SIGKILL. */
const stopMs = 5_000;

/** Runs previews as unsupervised child processes of this program behind a TLS proxy. `dispose` stops both. */
export function createLocalPreviews(layout: Layout, spec: EnvironmentSpec, watch: PreviewWatch = {}): Previews {
  return { serve: (artefact, access) => serve(layout, spec, artefact, access, watch) };
}

export interface PreviewWatch {
  /** A service did not end on SIGTERM in time, and was killed. */
  onKilled?(service: string): void;
}

async function serve(
  layout: Layout,
  spec: EnvironmentSpec,
  artefact: Artefact,
  access: DatabaseAccess,
  watch: PreviewWatch,
): Promise<Preview> {
  const ports = layout.ports();
  const free = await freePorts(spec.services.length);
  const targets = spec.services.map((service, index) => ({ service, port: free[index] as number }));
  const proxy = await startProxy(layout, targets);
  const baseUrl = `https://localhost:${(proxy.address() as AddressInfo).port}`;
  const of = {
    spec,
    ports,
    publicUrl: baseUrl,
    databaseUrl: databaseUrl(access, 'app'),
    version: artefact.version,
    colour: 'preview' as const,
  };
  const children: ChildProcess[] = [];
  const dispose = async () => {
    proxy.closeAllConnections();
    proxy.close();
    const stopping = children.map(async (child, index) => {
      if (await stop(child)) watch.onKilled?.(targets[index]?.service.name ?? '');
    });
    await Promise.all(stopping);
  };
  try {
    for (const { service, port } of targets) {
      const env = processEnvironment(layout, { ...of, service, port });
      children.push(await start(layout, service, artefact, env));
    }
    await Promise.all(targets.map((target, index) => untilHealthy(target, children[index] as ChildProcess, artefact)));
    return { baseUrl, caFile: layout.caFile(), routeHeaders: {}, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

interface Target {
  service: ServiceSpec;
  port: number;
}

/**
 * Terminates TLS with the environment's certificate and forwards each request to the service with the longest matching
 * route.
 */
async function startProxy(layout: Layout, targets: Target[]) {
  const [cert, key] = await Promise.all(
    ['server.crt', 'server.key'].map((file) => readFile(join(layout.certificates(), file))),
  );
  const routes = targets
    .flatMap(({ service, port }) => service.routes.map((prefix) => ({ prefix, port })))
    .sort((a, b) => b.prefix.length - a.prefix.length);
  const server = createServer({ cert, key }, (request, response) => {
    const path = request.url ?? '/';
    const route = routes.find(({ prefix }) => path.startsWith(prefix));
    if (route === undefined) response.writeHead(404).end();
    else pass(request, response, route.port);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  return server;
}

function pass(request: IncomingMessage, response: ServerResponse, port: number): void {
  const headers = {
    ...request.headers,
    'x-forwarded-for': request.socket.remoteAddress ?? '127.0.0.1',
    'x-forwarded-proto': 'https',
  };
  const forwarded = httpRequest(
    { host: '127.0.0.1', port, method: request.method, path: request.url, headers },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    },
  );
  forwarded.on('error', () => {
    if (!response.headersSent) response.writeHead(502);
    response.end();
  });
  request.pipe(forwarded);
}

async function start(
  layout: Layout,
  service: ServiceSpec,
  artefact: Artefact,
  env: Record<string, string>,
): Promise<ChildProcess> {
  await mkdir(layout.logs(), { recursive: true });
  const [command, ...args] = service.start as [string, ...string[]];
  const child = spawn(command, args, {
    ...bareEnvironment({ ...sessionVariables(), ...env }),
    cwd: artefact.location,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log = createWriteStream(join(layout.logs(), `preview.${service.name}.log`), { mode: 0o600 });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  child.once('close', () => log.end());
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => {
      reject(
        new OperationError(
          `starting ${service.name} ${artefact.version} on a scratch database`,
          error.message,
          `check application.services start: ${service.start.join(' ')}`,
        ),
      );
    });
  });
  return child;
}

async function untilHealthy({ service, port }: Target, child: ChildProcess, artefact: Artefact): Promise<void> {
  const doing = `waiting for ${service.name} ${artefact.version} on a scratch database`;
  const todo = `see its log preview.${service.name}.log in the environment's logs`;
  const url = `http://127.0.0.1:${port}${service.health}`;
  await until(
    async () => {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new OperationError(doing, `it exited with ${child.signalCode ?? `exit code ${child.exitCode}`}`, todo);
      const answer = await fetch(url, { signal: AbortSignal.timeout(2000) }).catch(() => undefined);
      return (
        answer?.status === 200 || `${service.health}: ${answer === undefined ? 'no answer' : `status ${answer.status}`}`
      );
    },
    { everyMs: 100, timeoutMs: readyMs, doing, todo },
  );
}

/** Resolves to whether it had to be killed. */
async function stop(child: ChildProcess): Promise<boolean> {
  if (child.exitCode !== null || child.signalCode !== null) return false;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  let killed = false;
  const timer = setTimeout(() => {
    killed = true;
    child.kill('SIGKILL');
  }, stopMs);
  await gone;
  clearTimeout(timer);
  return killed;
}
