import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { request as forward } from 'node:http';
import { createServer, request as secureRequest, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import pg from 'pg';
import { databaseUrl } from '../../../infra/application/database-url.ts';
import { createCertificates } from '../../../infra/local/lib/certificates.ts';
import { clusterAccess, destroyCluster, startCluster } from '../../../infra/local/postgres/cluster.ts';
import { freePorts } from '../../../infra/lib/free-ports.ts';
import { packageRoot } from '../../../infra/lib/paths.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { grantWrites } from '../../../infra/application/roles.ts';
import { createTestCluster } from '../../lib/template-cluster.ts';

/** A place for one test file: certificates, a PostgreSQL cluster, builds, and whatever was started there. */
export interface Workshop {
  directory: string;
  caFile: string;
  /** Builds a version; returns its directory. Builds of the same version and fault are made once. */
  build(version: string, fault?: string): Promise<string>;
  /** A new database, migrated by an artefact's expand files. */
  database(artefact?: string): Promise<DatabaseAccess>;
  /** Runs the services of an artefact behind a TLS entry point; returns its base URL. */
  serve(artefact: string, access: DatabaseAccess, env?: Record<string, string>): Promise<string>;
  /** Kills all services at once, as a crash would. */
  killServices(): Promise<void>;
  close(): Promise<void>;
}

export const contractFile = '009_2.0.0_contract.sql';

/** The migrations of an artefact that are not in `access` yet, as Greenlight runs them: by the owner, one transaction each. */
export async function migrate(
  access: DatabaseAccess,
  artefact: string,
  which: (name: string) => boolean,
): Promise<void> {
  const names = (await readdir(join(artefact, 'migrations'))).filter(which).sort();
  await withClient(databaseUrl(access, 'owner'), async (client) => {
    for (const name of names) await client.query(await readFile(join(artefact, 'migrations', name), 'utf8'));
  });
}

export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Starts a program of an artefact; resolves to its process and port once it listens. */
async function startProgram(artefact: string, program: string, env: Record<string, string>) {
  const child = spawn(process.execPath, [program], {
    cwd: artefact,
    env: { PATH: process.env['PATH'], HOST: '127.0.0.1', PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = once(child, 'exit').then(([code]) =>
    Promise.reject(new Error(`${program} ended with ${String(code)}`)),
  );
  const [line] = (await Promise.race([once(createInterface({ input: child.stdout }), 'line'), ended])) as [string];
  ended.catch(() => undefined);
  child.stdout.resume();
  return { child, port: (JSON.parse(line) as { port: number }).port };
}

/** A proxy like the balancer: ends TLS, says who the client is, sends /api to the api and the rest to the web. */
async function startProxy(certificates: string, ports: { api: number; web: number }): Promise<Server> {
  const pem = await readFile(join(certificates, 'server.pem'));
  const proxy = createServer({ key: pem, cert: pem }, (request, response) => {
    const port = request.url?.startsWith('/api/') ? ports.api : ports.web;
    const headers = { ...request.headers, 'x-forwarded-for': request.socket.remoteAddress ?? '' };
    const passed = forward(
      { port, host: '127.0.0.1', method: request.method, path: request.url, headers },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, { ...answer.headers, 'x-greenlight-colour': 'blue' });
        answer.pipe(response);
      },
    );
    passed.on('error', () => response.writeHead(502).end());
    request.pipe(passed);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return proxy;
}

export async function openWorkshop(): Promise<Workshop> {
  const directory = await mkdtemp(join(tmpdir(), 'greenlight-sample-'));
  const certificates = join(directory, 'ca');
  await createCertificates(certificates);
  const [port = 0] = await freePorts(1);
  const passwords = { admin: 'admin-secret', owner: 'owner-secret', app: 'app-secret' };
  const spec = {
    directory: join(directory, 'pg'),
    port,
    name: 'sample-test',
    certificates,
    maxConnections: 100,
    passwords,
  };
  const children: ChildProcess[] = [];
  const proxies: Server[] = [];
  let databases = 0;

  const killServices = async (): Promise<void> => {
    const running = children.filter((child) => child.exitCode === null && child.signalCode === null);
    const ended = running.map((child) => once(child, 'exit'));
    for (const child of running) child.kill('SIGKILL');
    await Promise.all(ended);
  };
  const close = async (): Promise<void> => {
    for (const proxy of proxies) {
      proxy.close();
      proxy.closeAllConnections();
    }
    await killServices();
    await destroyCluster(spec).catch(() => undefined);
    await rm(directory, { recursive: true, force: true });
  };

  try {
    await createTestCluster(spec);
    await startCluster(spec);
    await withClient(databaseUrl(clusterAccess(spec), 'admin'), (client) => client.query(grantWrites));
  } catch (error) {
    await close();
    throw error;
  }

  return {
    directory,
    caFile: join(certificates, 'ca.pem'),
    killServices,
    close,
    async build(version, fault = '') {
      const out = join(directory, `build-${version}-${fault}`);
      await mkdir(out).catch(() => undefined);
      if ((await readdir(out)).length === 0) await runBuild(version, out, fault);
      return out;
    },
    async database(artefact) {
      databases += 1;
      const name = `sample_${databases}`;
      const template = clusterAccess(spec);
      const admin = databaseUrl({ ...template, database: 'postgres' }, 'admin');
      await withClient(admin, (client) =>
        client.query(`create database ${name} template ${template.database} owner owner`),
      );
      const access = { ...template, database: name };
      if (artefact) await migrate(access, artefact, (file) => file !== contractFile);
      return access;
    },
    async serve(artefact, access, more = {}) {
      const feed = await startProgram(artefact, 'price-feed.mjs', {});
      children.push(feed.child);
      const env = {
        DATABASE_URL: databaseUrl(access, 'app'),
        PRICE_FEED_URL: `http://127.0.0.1:${feed.port}`,
        ...more,
      };
      const api = await startProgram(artefact, 'api.mjs', env);
      children.push(api.child);
      const web = await startProgram(artefact, 'web.mjs', {});
      children.push(web.child);
      const proxy = await startProxy(certificates, { api: api.port, web: web.port });
      proxies.push(proxy);
      return `https://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    },
  };
}

export async function runBuild(version: string, out: string, fault = ''): Promise<void> {
  await execa(process.execPath, ['examples/think-in-coin/build.ts'], {
    cwd: packageRoot,
    env: { GREENLIGHT_VERSION: version, GREENLIGHT_OUT: out, GREENLIGHT_SAMPLE_FAULT: fault },
  });
}

/** Names of the application's tests that passed and failed, read from the JUnit file that the contract asks for. */
export async function runTests(
  artefact: string,
  suite: string,
  env: Record<string, string>,
): Promise<{ passed: string[]; failed: string[] }> {
  const results = join(artefact, `${suite}-${Date.now()}.xml`);
  const reporter = ['--test-reporter=junit', `--test-reporter-destination=${results}`];
  const run = await execa(process.execPath, ['--test', ...reporter, `tests/${suite}.mjs`], {
    cwd: artefact,
    env,
    reject: false,
  });
  const xml = await readFile(results, 'utf8');
  await rm(results);
  const cases = [...xml.matchAll(/<testcase name="([^"]*)"[^>]*?(\/?)>(\s*<failure)?/g)];
  const failed = cases.filter(([, , , failure]) => failure !== undefined).map(([, name = '']) => name);
  const passed = cases.map(([, name = '']) => name).filter((name) => !failed.includes(name));
  if (failed.length > 0 !== (run.exitCode !== 0))
    throw new Error(`exit code ${run.exitCode}, but ${failed.length} failures:\n${run.stdout}`);
  return { passed, failed };
}

export interface Learner {
  email: string;
  /** Sends a request with the learner's session; resolves to status and body. */
  send(method: string, path: string, body?: unknown): Promise<{ status: number; text: string }>;
}

/** A client of a running release with a new account. */
export async function clientOf(url: string, caFile: string): Promise<Learner> {
  const ca = await readFile(caFile);
  const email = `test-${randomUUID()}@synthetic.invalid`;
  const cookies = new Map<string, string>();
  const send: Learner['send'] = (method, path, body) =>
    new Promise((resolve, reject) => {
      const cookie = [...cookies.values()].join('; ');
      const headers = { cookie, ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
      const sent = secureRequest(new URL(path, url), { method, ca, headers, agent: false }, (response) => {
        for (const line of response.headers['set-cookie'] ?? []) {
          const [set = ''] = line.split(';');
          cookies.set(set.split('=', 1).join(), set);
        }
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      });
      sent.on('error', reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  const { status, text } = await send('POST', '/api/accounts', {
    email,
    name: 'Test',
    password: 'a long enough password',
  });
  if (status !== 201) throw new Error(`sign-up answered ${status}: ${text}`);
  return { email, send };
}
