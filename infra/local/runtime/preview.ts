import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import { removeAbandoned, serviceContainer } from '../../containers/containers.ts';
import { imagesOf } from '../../containers/record.ts';
import { bareEnvironment } from '../../lib/child-environment.ts';
import { databaseFields } from '../../application/database-url.ts';
import { answerWatch, explainAnswer, type WrongAnswer } from '../../application/health.ts';
import { OperationError } from '../../lib/errors.ts';
import {
  defaultStartSeconds,
  defaultStopSeconds,
  type Artefact,
  type EnvironmentSpec,
  type ServiceSpec,
} from '../../model.ts';
import type { DatabaseAccess } from '../../platform/databases.ts';
import type { Preview, Previews } from '../../platform/jobs.ts';
import { createLocalSecrets } from '../lib/application-secrets.ts';
import { copyFiles, hasImages, mountsOf, openToAll, scratchDirectory } from '../lib/files.ts';
import type { Layout } from '../lib/layout.ts';
import { processEnvironment, sessionVariables } from '../lib/process-environment.ts';
import { freePorts } from '../../lib/free-ports.ts';
import { until } from '../../lib/poll.ts';
import { endOfLog, probe } from '../supervisor/processes.ts';
import { readinessOf } from '../supervisor/readiness.ts';

/** Runs previews as unsupervised child processes, or containers, of this program behind a TLS proxy. `dispose` stops both. */
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
  const values = await createLocalSecrets(() => layout).values(layout.environment);
  const free = await freePorts(spec.services.length);
  const targets = spec.services.map((service, index) => ({ service, port: free[index] as number }));
  // What the version does to files, it does to a copy.
  const copies = await scratchDirectory(layout, 'preview');
  const discard = () => rm(copies, { recursive: true, force: true });
  try {
    await copyFiles(layout, spec.files ?? [], copies);
    if (hasImages(spec)) for (const { name } of spec.files ?? []) await openToAll(join(copies, name));
  } catch (error) {
    await discard();
    throw error;
  }
  const proxy = await startProxy(layout, targets);
  const baseUrl = `https://localhost:${(proxy.address() as AddressInfo).port}`;
  const of = {
    spec,
    filesAt: (name: string) => join(copies, name),
    ports,
    publicUrl: baseUrl,
    database: databaseFields(access, 'app'),
    secretOf: (name: string) => values[name],
    version: artefact.version,
    colour: 'preview' as const,
  };
  const images = await imagesOf(artefact);
  if (images !== undefined) await removeAbandoned(images.engine, layout.environment);
  const children: Started[] = [];
  const clears: string[][] = [];
  const mounts = mountsOf(layout, spec, of.filesAt);
  const dispose = async () => {
    proxy.closeAllConnections();
    proxy.close();
    const stopping = children.map(async (started) => {
      if (await stop(started)) watch.onKilled?.(started.service.name);
    });
    await Promise.all(stopping);
    await Promise.all(clears.map(clear));
    await discard();
  };
  try {
    for (const { service, port } of targets) {
      const contained = images?.record.services[service.name] !== undefined;
      const env = processEnvironment(layout, { ...of, service, port, contained });
      const name = `preview-${port}.${service.name}`;
      const place = { environment: layout.environment, name, env, mounts, owned: true };
      const container = serviceContainer(images, service, place);
      if (container !== undefined) clears.push(container.clear);
      const program = container ?? { argv: service.start, env };
      const child = await start(layout, service, artefact, program);
      children.push({ service, env: program.env, within: container?.within, child });
    }
    const healthy = (target: Target, index: number) =>
      untilHealthy(target, children[index] as Started, artefact, { layout, publicUrl: baseUrl });
    await Promise.all(targets.map(healthy));
    return { baseUrl, caFile: layout.caFile(), routeHeaders: {}, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

interface Started {
  service: ServiceSpec;
  env: Record<string, string>;
  /** Runs a command in its container. Undefined: it has none. */
  within: string[] | undefined;
  child: ChildProcess;
}

interface Of {
  layout: Layout;
  publicUrl: string;
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
    'x-forwarded-host': request.headers.host ?? '',
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
  { argv, env }: { argv: string[]; env: Record<string, string> },
): Promise<ChildProcess> {
  await mkdir(layout.logs(), { recursive: true });
  const [command, ...args] = argv as [string, ...string[]];
  const child = spawn(command, args, {
    ...bareEnvironment({ ...sessionVariables(), ...env }),
    cwd: artefact.location,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log = createWriteStream(logOf(layout, service), { mode: 0o600 });
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
          `check application.services start: ${argv.join(' ')}`,
        ),
      );
    });
  });
  return child;
}

async function untilHealthy(
  target: Target,
  { child, env, within }: Started,
  artefact: Artefact,
  of: Of,
): Promise<void> {
  const { service, port } = target;
  const doing = `starting ${service.name} ${artefact.version} on a scratch database`;
  const log = logOf(of.layout, service);
  const ready = readinessOf(service, port, of.publicUrl, within);
  const hopeless = answerWatch();
  const wrong = (answer: WrongAnswer): OperationError => {
    const { found, todo } = explainAnswer(answer);
    return new OperationError(doing, found, `${todo}; its log: ${log}`);
  };
  await until(
    async () => {
      if (child.exitCode !== null || child.signalCode !== null) {
        const how = child.signalCode ?? `exit code ${child.exitCode}`;
        throw new OperationError(doing, `it exited with ${how}${await lastLines(log)}`, `see ${log}`);
      }
      const found = await probe(ready, { env, cwd: artefact.location });
      if (found === true) return true;
      if (found.answer !== undefined && hopeless(found.answer)) throw wrong(found.answer);
      if (found.answer === undefined) hopeless(undefined);
      return found.says;
    },
    { everyMs: 100, timeoutMs: (service.startSeconds ?? defaultStartSeconds) * 1000, doing, todo: `see ${log}` },
  );
}

const logOf = (layout: Layout, { name }: ServiceSpec): string => join(layout.logs(), `preview.${name}.log`);

/** The end of a log, for a message. */
async function lastLines(log: string): Promise<string> {
  const lines = await endOfLog(log);
  return lines === '' ? '' : `: ${lines}`;
}

/** Also where the container's command line was killed. */
async function clear([program = '', ...args]: string[]): Promise<void> {
  await execa(program, args, { ...bareEnvironment(sessionVariables()), stdin: 'ignore', reject: false });
}

/** Resolves to whether it had to be killed. */
async function stop({ child, service }: Started): Promise<boolean> {
  if (child.exitCode !== null || child.signalCode !== null) return false;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  let killed = false;
  const timer = setTimeout(
    () => {
      killed = true;
      child.kill('SIGKILL');
    },
    (service.stopSeconds ?? defaultStopSeconds) * 1000,
  );
  await gone;
  clearTimeout(timer);
  return killed;
}
