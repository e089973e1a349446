import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createCertificates } from '../../../../../infra/local/lib/certificates.ts';
import { Layout } from '../../../../../infra/local/lib/layout.ts';
import { createLocalPreviews } from '../../../../../infra/local/runtime/preview.ts';
import { readinessOf } from '../../../../../infra/local/supervisor/readiness.ts';
import { Supervisor } from '../../../../../infra/local/supervisor/supervisor.ts';
import { freePorts } from '../../../../../infra/lib/free-ports.ts';
import { secrets } from '../../../../../infra/lib/redact.ts';
import type { ServiceSpec } from '../../../../../infra/model.ts';
import { testSpec } from '../haproxy/testbed.ts';

/** What the argument says: the status of its health path, `late` for 503 until it has answered ten times, `exit`, or `raw` for no HTTP. */
const program = `
import { createServer } from 'node:http';
import net from 'node:net';
const { PORT, HOST, TOKEN } = process.env;
const how = process.argv[2];
let asked = 0;
if (how === 'exit') { console.error('no such table, token ' + TOKEN); process.exit(4); }
const answer = (request, response) => {
  const { host, 'x-forwarded-proto': proto, 'x-forwarded-host': forwarded, 'x-probe': probe } = request.headers;
  if (how === 'headers') return response.writeHead(proto === 'https' && host === forwarded && /^localhost:\\d+$/.test(forwarded) && probe === '1' ? 204 : 400).end();
  if (how === 'late') return response.writeHead(++asked < 10 ? 503 : 200).end();
  response.writeHead(Number(how), { location: '/login' }).end();
};
const server = how === 'raw' ? net.createServer((socket) => socket.end()) : createServer(answer);
server.listen(Number(PORT), HOST);
process.on('SIGTERM', () => process.exit(0));
`;

/** The ways in which a service starts: as an instance under the supervisor, and in a preview. */
describe('the health of a service that starts', function () {
  this.timeout(60_000);
  let directory: string;
  let layout: Layout;
  let supervisor: Supervisor;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'greenlight-health-'));
    layout = new Layout('staging', join(directory, 'environment'));
    await createCertificates(layout.certificates());
    await writeFile(layout.portsFile(), JSON.stringify({ integrations: {} }));
    await mkdir(join(directory, 'build'));
    await writeFile(join(directory, 'build', 'server.mjs'), program);
    supervisor = new Supervisor(layout);
    await supervisor.start();
    secrets.register('token-4711');
  });
  after(async () => {
    await supervisor.shutdown();
    await rm(directory, { recursive: true, force: true });
  });

  const service = (how: string, more: Partial<ServiceSpec>): ServiceSpec => ({
    name: 'web',
    start: [process.execPath, 'server.mjs', how],
    health: '/up',
    routes: ['/'],
    instances: 1,
    database: false,
    env: { TOKEN: 'token-4711' },
    ...more,
  });

  const asInstance = async (how: string, more: Partial<ServiceSpec> = {}) => {
    const [port = 0] = await freePorts(1);
    const of = service(how, more);
    try {
      await supervisor.put({
        name: 'web.blue.1',
        label: 'web 2.0.0',
        argv: of.start,
        env: { HOST: '127.0.0.1', PORT: String(port), PATH: process.env['PATH'] ?? '', ...of.env },
        cwd: join(directory, 'build'),
        ready: readinessOf(of, port, 'https://localhost:8443'),
        readySeconds: of.startSeconds ?? 20,
        stopSignal: 'TERM',
        stopSeconds: 5,
        stopGroup: true,
        logMegabytes: 1,
        restartOn: [],
      });
    } finally {
      await supervisor.remove('web.blue.1');
    }
  };

  const login = { user: 'unused', password: 'unused' };
  const access = {
    host: 'unused',
    port: 1,
    database: 'unused',
    caFile: 'unused',
    admin: login,
    owner: login,
    app: login,
  };
  const inPreview = async (how: string, more: Partial<ServiceSpec> = {}) => {
    const previews = createLocalPreviews(layout, { ...testSpec, services: [service(how, more)] });
    const artefact = { version: '2.0.0', digest: 'sha256:0', location: join(directory, 'build') };
    await (await previews.serve(artefact, access)).dispose();
  };

  const failure = (work: Promise<unknown>) =>
    work.then(
      () => 'no failure',
      (error: Error) => error.message,
    );

  for (const [where, start] of [
    ['as an instance', asInstance],
    ['in a preview', inPreview],
  ] as const) {
    it(`is a path with its statuses, asked with the headers of the entry point and its own, ${where}`, async () => {
      await start('headers', { health: { path: '/up', status: [200, 204], headers: { 'X-Probe': '1' } } });
      expect(await failure(start('headers', { startSeconds: 1 }))).to.include('/up answered 400');
    });

    it(`is a port, ${where}`, () => start('raw', { health: { tcp: true } }));

    it(`is not a port on which nothing listens, ${where}`, async () => {
      const silent = { start: [process.execPath, '-e', 'setInterval(() => 0, 1000)'] };
      for (const health of [{ tcp: true } as const, { command: [process.execPath, '-e', '0'] }])
        expect(await failure(start('', { ...silent, health, startSeconds: 2 }))).to.match(/port \d+: ECONNREFUSED/);
    });

    it(`is a command in the artefact, with the environment of the service, ${where}`, async () => {
      const command = (script: string) => ({ health: { command: [process.execPath, '-e', script] } });
      await start(
        'raw',
        command("require('fs').statSync('server.mjs'); process.exit(process.env.TOKEN === 'token-4711' ? 0 : 1)"),
      );
      const message = await failure(
        start('raw', { ...command('console.error(process.env.TOKEN); process.exit(7)'), startSeconds: 2 }),
      );
      expect(message).to.include('ended with 7: ***').and.not.include('token-4711');
    });

    it(`may be 503 for a while, ${where}`, () => start('late'));

    it(`is said with status and Location where the answer stays wrong, ${where}`, async () => {
      const message = await failure(start('302', { startSeconds: 55 }));
      expect(message)
        .to.include('web 2.0.0')
        .and.include('/up answered 302, Location /login\n  a health path has to answer 200; ');
    });

    it(`is never there where the program exits, which is said with the end of its log, ${where}`, async () => {
      const message = await failure(start('exit', { startSeconds: 55 }));
      expect(message).to.include('web 2.0.0').and.include('no such table, token ***').and.not.include('token-4711');
    });
  }
});
