import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { execa } from 'execa';
import { checkRelease } from '../../../../automation/config/load.ts';
import { keepSecrets, withSecretVersions } from '../../../../automation/release/context/keep-secrets.ts';
import { gatesOf } from '../../../../automation/release/plan.ts';
import { rotateSecrets, secretStates } from '../../../../automation/release/rotate.ts';
import type { Session } from '../../../../automation/release/start.ts';
import { packageRoot } from '../../../../infra/lib/paths.ts';
import { validDefinition } from '../../../lib/valid-definition.ts';
import { createFixture, type Fixture } from '../stacks/fixture.ts';

/**
 * As an application behind a proxy is: it redirects what came without TLS, and refuses a host that is not its own. `/env` says what it
 * was given, and as whom it logs in to its database.
 */
const program = `
import { createServer } from 'node:http';
import pg from '${packageRoot}/node_modules/pg/lib/index.js';
const { PORT, HOST, PUBLIC_URL, SESSION_KEY, pg_host, pg_port, pg_name, pg_user, pg_password, pg_ca } = process.env;
if (SESSION_KEY === 'that no instance starts with') { console.error('cannot start with ' + SESSION_KEY); process.exit(3); }
const login = { host: pg_host, port: Number(pg_port), database: pg_name, user: pg_user, password: pg_password, ssl: { ca: (await import('node:fs')).readFileSync(pg_ca) } };
const who = async () => { const c = new pg.Client(login); await c.connect(); const { rows } = await c.query('select current_user'); await c.end(); return rows[0].current_user; };
const server = createServer(async (request, response) => {
  const { host, 'x-forwarded-proto': proto } = request.headers;
  if (proto !== 'https') return response.writeHead(301, { location: PUBLIC_URL + request.url }).end();
  if (host !== new URL(PUBLIC_URL).host) return response.writeHead(400).end();
  if (request.url !== '/env') { if (request.url === '/slow') await new Promise((done) => setTimeout(done, 300)); return response.end('ok'); }
  response.end(JSON.stringify({ key: SESSION_KEY, short: process.env.SHORT, url: process.env.DATABASE_URL, user: await who(), self: process.env.self }));
}).listen(Number(PORT), HOST);
process.on('SIGTERM', () => server.close(() => process.exit(0)));
`;

const awkward = `it's a "key" \\ $HOME \`x\` $(y) %s 100% ünïcödé 🔑\n\nwith lines\n\n`;
const environment = 'staging';

describe('secrets of an application that runs', function () {
  this.timeout(120_000);
  let fixture: Fixture;
  let session: Session;
  let keyFile: string;
  let agent: Agent;
  const ask = (path: string, method = 'GET') =>
    new Promise<{ status: number; body: string }>((resolve, reject) => {
      const { https } = fixture.layout.ports();
      const asked = request({ host: 'localhost', port: https, path, method, agent }, (answer) => {
        text(answer).then((body) => resolve({ status: answer.statusCode ?? 0, body }), reject);
      });
      asked.on('error', reject).end();
    });
  const env = async () => JSON.parse((await ask('/env')).body) as Record<string, string>;
  const up = async (colour: 'blue' | 'green', version: string, content = program) => {
    const artefact = await fixture.artefact(version);
    await writeFile(join(artefact.location, 'server.mjs'), content);
    const config = { kind: colour, colour: { colour, artefact } } as const;
    await fixture.engine.up({ environment, ...(await withSecretVersions(fixture.platform, environment, config)) });
  };
  const failure = (work: Promise<unknown>) =>
    work.then(
      () => '',
      (error: Error) => error.message,
    );

  before(async () => {
    fixture = await createFixture(environment);
    keyFile = join(fixture.home, 'key');
    await writeFile(keyFile, `${awkward}\n`);
    const draft = validDefinition();
    draft.application.secrets = {
      'session-key': { from: 'file', path: keyFile },
      short: { from: 'command', command: ['echo', 'x'] },
    };
    const definition = checkRelease('/x', draft, gatesOf);
    const { platform, engine } = fixture;
    session = { definition, platform, engine, signal: new AbortController().signal, waiting: () => undefined } as never;
    const service = {
      name: 'api',
      start: ['node', 'server.mjs'],
      health: '/healthz',
      routes: ['/'],
      instances: 2,
      database: true,
      env: {
        SESSION_KEY: '${secret.session-key}',
        SHORT: '<${secret.short}>',
        DATABASE_URL: 'postgresql+psycopg://${database.user}:${database.password}@${database.host}/${database.name}',
        pg_host: '${database.host}',
        pg_port: '${database.port}',
        pg_name: '${database.name}',
        pg_user: '${database.user}',
        pg_password: '${database.password}',
        pg_ca: '${database.caFile}',
        self: '${version} ${colour} ${environment} $${port}',
      },
    };
    const spec = { ...fixture.spec, services: [service], integrations: [] };
    await keepSecrets(session, [environment]);
    await engine.up({ environment, kind: 'foundation', spec });
    await up('blue', '1.0.0');
    await engine.up({ environment, kind: 'traffic', split: { live: 'blue', percent: 0 } });
    agent = new Agent({ ca: await readFile(fixture.layout.caFile()), keepAlive: true });
  });
  after(async () => {
    agent.destroy();
    await fixture.dispose();
  });

  it('reach it exactly as they are, beside variables of its own naming', async () => {
    const found = await env();
    expect(found).to.include({ key: awkward, short: '<x>', user: 'app', self: '1.0.0 blue staging ${port}' });
    expect(found['url']).to.match(/^postgresql\+psycopg:\/\/app:[\w-]{43}@127\.0\.0\.1\/app$/);
  });

  it('are nowhere but in their files, which nobody else may read', async () => {
    const directory = fixture.layout.secrets();
    const names = (await readdir(directory)).filter((name) => name.startsWith('app-'));
    expect(names.some((name) => name.startsWith('app-session-key.'))).to.equal(true);
    for (const name of names) expect((await stat(join(directory, name))).mode & 0o777).to.equal(0o600);
    const forms = [awkward, JSON.stringify(awkward).slice(1, -1), 'with lines', 'ünïcödé'].map((form) =>
      Buffer.from(form).toString('latin1'),
    );
    const files = await readdir(fixture.home, { recursive: true, withFileTypes: true });
    for (const file of files.filter((one) => one.isFile() && one.parentPath !== directory)) {
      const path = join(file.parentPath, file.name);
      if (path === keyFile) continue;
      const content = await readFile(path, 'latin1');
      for (const form of forms) expect(content.includes(form), path).to.equal(false);
    }
    expect((await execa('ps', ['-eww', '-o', 'args='])).stdout).not.to.include('ünïcödé');
  });

  it('are no drift when their sources change, and stay with the processes that have them', async () => {
    await writeFile(keyFile, 'the second\n');
    const states = await secretStates(session, environment);
    expect(states.map(({ name, running }) => [name, running])).to.deep.equal([
      ['session-key', 'an older value'],
      ['short', 'current'],
    ]);
    await keepSecrets(session, [environment]);
    expect(await fixture.engine.refresh({ environment, kind: 'blue' })).to.deep.equal([]);
    process.kill((await fixture.supervisor.state('api.blue.1'))?.pid ?? 0, 'SIGKILL');
    await sleep(1500);
    expect((await env())['key']).to.equal(awkward);
  });

  it('are rotated under load without a failed request', async () => {
    const answers: number[] = [];
    let goesOn = true;
    const load = ['/', '/slow', '/env'].flatMap((path) =>
      ['GET', 'POST'].map(async (method) => {
        while (goesOn) answers.push((await ask(path, method).catch(() => ({ status: 0 }))).status);
      }),
    );
    const before = await fixture.supervisor.list();
    const changed = await rotateSecrets(session, environment);
    goesOn = false;
    await Promise.all(load);
    expect(changed).to.deep.equal(['session-key']);
    expect(answers.length).to.be.greaterThan(100);
    expect(answers.filter((status) => status !== 200)).to.deep.equal([]);
    for (let i = 0; i < 4; i++) expect((await env())['key']).to.equal('the second');
    const after = await fixture.supervisor.list();
    const pid = (list: typeof after, name: string) => list.find((one) => one.name === name)?.pid;
    for (const name of ['api.blue.1', 'api.blue.2']) expect(pid(after, name)).not.to.equal(pid(before, name));
    for (const name of ['balancer', 'database.blue']) expect(pid(after, name)).to.equal(pid(before, name));
    const kept = (await readdir(fixture.layout.secrets())).filter((name) => name.startsWith('app-session-key.'));
    expect(kept).to.have.length(1);
    expect(await rotateSecrets(session, environment)).to.deep.equal([]);
  });

  it('go back to the old value where an instance does not start with the new one, which no message has', async () => {
    await writeFile(keyFile, 'that no instance starts with');
    const message = await failure(rotateSecrets(session, environment));
    expect(message).to.include('all run with the old ones again').and.include('it exits as soon as it is started');
    expect(message).to.include('cannot start with ***').and.not.include('that no instance');
    for (let i = 0; i < 4; i++) expect(await env()).to.include({ key: 'the second' });
    expect(await fixture.engine.refresh({ environment, kind: 'blue' })).to.deep.equal([]);
    await rm(keyFile);
    expect(await failure(rotateSecrets(session, environment))).to.include(
      `session-key of staging: there is no file ${keyFile}; write it`,
    );
    expect(await failure(keepSecrets(session, [environment]))).to.include('one cannot be read');
    await writeFile(keyFile, 'the second');
  });

  it('a health path that keeps to a redirect ends the start with status and Location', async () => {
    const redirects = program.replace(
      "return response.end('ok')",
      "return response.writeHead(301, { location: '/healthz/' }).end()",
    );
    const message = await failure(up('green', '2.0.0', redirects));
    expect(message).to.include('starting api 2.0.0 (api.green.');
    expect(message).to.include('/healthz answered 301, Location /healthz/');
    expect(message).to.include('a health path has to answer 200; give the path that Location names');
  });
});
