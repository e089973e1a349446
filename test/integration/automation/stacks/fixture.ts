import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { createEngine, type Engine } from '../../../../automation/stacks/engine.ts';
import { destroyEnvironment } from '../../../../automation/stacks/destroy.ts';
import type { Artefact, EnvironmentName, EnvironmentSpec } from '../../../../infra/model.ts';
import { Layout } from '../../../../infra/local/lib/layout.ts';
import { createLocalPlatform } from '../../../../infra/local/platform.ts';
import { Supervisor } from '../../../../infra/local/supervisor/supervisor.ts';
import type { Platform } from '../../../../infra/platform/platform.ts';
import { moveHome } from '../../../lib/own-home.ts';

/** Answers its name, version and colour; `/env` the names of its variables and those that a test looks at. */
const server = `
import { createServer } from 'node:http';
const { PORT, HOST, GREENLIGHT_VERSION, GREENLIGHT_COLOUR, DATABASE_URL, BANK_URL } = process.env;
const server = createServer((request, response) => {
  if (request.url === '/healthz') return response.end('ok');
  response.end(JSON.stringify({ service: process.argv[2], version: GREENLIGHT_VERSION, colour: GREENLIGHT_COLOUR,
    database: DATABASE_URL !== undefined, bank: BANK_URL, greeting: process.env.GREETING }));
}).listen(Number(PORT), HOST);
process.on('SIGTERM', () => server.close(() => process.exit(0)));
`;

const service = (name: string, route: string, database: boolean) => ({
  name,
  start: ['node', 'server.mjs', name],
  health: '/healthz',
  routes: [route],
  instances: 1,
  database,
  env: { GREETING: `it's "quoted"; 100%\nand goes on` },
});

/** Stands for what is secret in the address of an alert receiver. */
export const webhookToken = 'T0ken-of-a-webhook-4711';

export interface Fixture {
  home: string;
  platform: Platform;
  engine: Engine;
  spec: EnvironmentSpec;
  layout: Layout;
  supervisor: Supervisor;
  artefact(version: string): Promise<Artefact>;
  /** Takes everything down that a test left, whatever went wrong. */
  dispose(): Promise<void>;
}

/** An environment of a tiny application with two services and a stand-in, in a home of its own. */
export async function createFixture(environment: EnvironmentName = 'staging'): Promise<Fixture> {
  const home = await mkdtemp(join(tmpdir(), 'greenlight-stacks-'));
  const moveBack = moveHome(home);
  const standIn = join(home, 'bank.mjs');
  await writeFile(standIn, server);
  const platform = createLocalPlatform();
  const engine = createEngine(platform);
  const layout = new Layout(environment);
  return {
    home,
    platform,
    engine,
    layout,
    supervisor: new Supervisor(layout),
    spec: {
      application: 'fixture',
      environment,
      services: [service('api', '/api', true), service('web', '/', false)],
      integrations: [{ name: 'bank', env: 'BANK_URL', standIn: ['node', standIn, 'bank'], health: '/healthz' }],
      writes: { reads: ['GET', 'HEAD', 'OPTIONS', 'TRACE'], paths: [] },
      database: { maxConnections: 30 },
      slo: { errorRate: 0.001, p95Ms: 500 },
      alertReceivers: [{ name: 'operators', webhook: `http://127.0.0.1:9/${webhookToken}` }],
    },
    async artefact(version) {
      const location = join(home, 'artefacts', version);
      await mkdir(location, { recursive: true });
      await writeFile(join(location, 'server.mjs'), server);
      return { version, digest: `sha256:${version}`, location };
    },
    async dispose() {
      await destroyEnvironment(engine, platform, environment, { keepBackups: false });
      await rm(home, { recursive: true, force: true });
      moveBack();
    },
  };
}

/** A zombie does not run: it only waits for whoever took its parent's place. */
export async function isRunning(pid: number): Promise<boolean> {
  const { stdout } = await execa('ps', ['-o', 'stat=', '-p', String(pid)], { reject: false });
  return stdout.trim() !== '' && !stdout.trim().startsWith('Z');
}
