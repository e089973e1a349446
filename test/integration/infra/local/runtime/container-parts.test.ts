import { createHash } from 'node:crypto';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { containerName, removeContainers } from '../../../../../infra/containers/containers.ts';
import { imagesOf } from '../../../../../infra/containers/record.ts';
import { bareEnvironment } from '../../../../../infra/lib/child-environment.ts';
import { freePorts } from '../../../../../infra/lib/free-ports.ts';
import { createLocalSecrets } from '../../../../../infra/local/lib/application-secrets.ts';
import { createCertificates } from '../../../../../infra/local/lib/certificates.ts';
import { makeFiles } from '../../../../../infra/local/lib/files.ts';
import { Layout, type Ports } from '../../../../../infra/local/lib/layout.ts';
import { process as supervised, type ProcessInputs } from '../../../../../infra/local/provider/process.ts';
import { createLocalCommands } from '../../../../../infra/local/runtime/commands.ts';
import { createLocalImages } from '../../../../../infra/local/runtime/images.ts';
import { createLocalPreviews } from '../../../../../infra/local/runtime/preview.ts';
import { guardsOf } from '../../../../../infra/local/stacks/guards.ts';
import { instanceProcess, type VersionPlace } from '../../../../../infra/local/stacks/instance.ts';
import { pidFile } from '../../../../../infra/local/supervisor/config.ts';
import { Supervisor } from '../../../../../infra/local/supervisor/supervisor.ts';
import { readRecord, recordFile } from '../../../../../infra/local/workers/record.ts';
import { createLocalWorkers } from '../../../../../infra/local/workers/workers.ts';
import type { Artefact, EnvironmentSpec, ServiceSpec } from '../../../../../infra/model.ts';
import { ImageFolder, podman, removeTestImages } from '../../../../lib/image.ts';
import { moveHome } from '../../../../lib/own-home.ts';
import { rejection } from '../postgres/environment.ts';

const application = 'test-parts';
const version = '1.2.3';
/** What a variable may be: quotes, newlines also at its end, what a shell acts on, more than ASCII. */
const secret = `  it's "S3crét" \${HOME} $(id) \\n %s ' \n\nline 2\t✓ 𝄞\n\n`;
const sha256 = (value: string) => createHash('sha256').update(value).digest('hex');

const program = `
import { appendFileSync, writeFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
const [, , how = 'serve'] = process.argv;
const { UPLOADS = '/tmp' } = process.env;
process.on('SIGTERM', () => process.exit(0));
if (how === 'work') {
  const id = randomUUID();
  const say = (what) => appendFileSync(UPLOADS + '/lines', id + ' ' + what + '\\n');
  say('began');
  setInterval(() => say('works'), 5);
} else {
  const answer = {
    '/env': () => JSON.stringify(process.env),
    '/save': () => {
      appendFileSync(UPLOADS + '/old', 'more');
      writeFileSync(UPLOADS + '/new', 'new');
      return 'saved';
    },
  };
  createServer((request, response) => {
    try { response.end((answer[request.url] ?? (() => 'none'))()); } catch (error) { response.end(error.code); }
  }).listen(Number(process.env.PORT), process.env.HOST);
}
`;

/** Succeeds where the image's own file is, with the value of the secret. */
const healthy = (value: string) => [
  'node',
  '-e',
  `require('fs').statSync('/app/marker.txt'); const hash = require('crypto').createHash('sha256').update(process.env.TOKEN).digest('hex'); process.exit(hash === '${sha256(value)}' ? 0 : 3)`,
];

describe('what else runs in containers', function () {
  this.timeout(120_000);
  let folder: string;
  let image: ImageFolder;
  let artefact: Artefact;
  let ports: Ports;
  let homeBack: () => void;
  let layout: Layout;
  let supervisor: Supervisor;
  let secrets: Record<string, string>;

  const service: ServiceSpec = {
    name: 'web',
    start: [],
    image: { dockerfile: 'Dockerfile', context: '.', args: {}, root: false, readOnly: true },
    limits: { memoryMegabytes: 128 },
    health: { command: healthy(secret) },
    routes: ['/'],
    instances: 1,
    database: false,
    env: { TOKEN: '${secret.token}' },
  };
  const spec = {
    application,
    environment: 'staging',
    services: [service],
    workers: [
      {
        name: 'worker',
        image: 'web',
        start: ['node', '/app/parts.mjs', 'work'],
        instances: 1,
        database: false,
        env: { TOKEN: '${secret.token}' },
        stopSeconds: 5,
      },
    ],
    files: [{ name: 'uploads', env: 'UPLOADS', maxMegabytes: 10 }],
    integrations: [],
  } as unknown as EnvironmentSpec;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'greenlight parts-'));
    homeBack = moveHome(folder);
    image = new ImageFolder();
    image.write('app/parts.mjs', program);
    image.dockerfile(['ARG GREENLIGHT_VERSION', 'USER 1000:1000', 'CMD ["node", "/app/parts.mjs"]']);
    const location = join(folder, 'artefacts', 'a'.repeat(64));
    await mkdir(location, { recursive: true });
    await createLocalImages('podman', (said) => said).make({
      application,
      version,
      services: [service],
      root: image.directory,
      out: location,
      logs: join(folder, 'logs'),
      timeoutMs: 120_000,
      signal: new AbortController().signal,
    });
    artefact = { version, digest: `sha256:${'a'.repeat(64)}`, location };
    const [web = 0, database = 0] = await freePorts(2);
    ports = {
      https: 1,
      integrations: {},
      database: { blue: database, green: database },
      instances: { blue: { web: [web] }, green: {} },
    } as unknown as Ports;
  });
  beforeEach(async () => {
    layout = new Layout('staging');
    await createCertificates(layout.certificates());
    secrets = await createLocalSecrets(() => layout).keep('staging', { token: secret });
    await writeFile(layout.portsFile(), JSON.stringify(ports));
    for (const role of ['admin', 'owner', 'app'] as const)
      await writeFile(layout.secretFile(`blue-${role}`), 'a password');
    await makeFiles(layout, spec);
    supervisor = new Supervisor(layout);
    await supervisor.start();
  });
  afterEach(async () => {
    await supervisor.shutdown();
    await removeContainers('staging');
    await rm(layout.directory, { recursive: true, force: true });
  });
  after(async () => {
    image.close();
    removeTestImages(application);
    await rm(folder, { recursive: true, force: true });
    homeBack();
  });

  const place = async (): Promise<VersionPlace> => ({
    layout,
    spec,
    ports,
    colour: { colour: 'blue', secrets },
    artefact,
    images: await imagesOf(artefact),
  });
  const put = (of: Omit<ProcessInputs, 'environment' | 'directory'>) =>
    supervised.create({ ...of, environment: layout.environment, directory: layout.directory, balanced: false });
  const portOf = () => ports.instances.blue['web']?.[0] ?? 0;
  const startInstance = async (of: Partial<ServiceSpec> = {}) =>
    put(instanceProcess({ ...(await place()), service: { ...service, ...of }, port: portOf(), index: 0 }));
  const ask = async (path: string) => (await fetch(`http://127.0.0.1:${portOf()}${path}`)).text();
  const containers = () =>
    podman('ps', '--all', '--format', '{{.Names}}')
      .split('\n')
      .filter((name) => name.startsWith(containerName('staging', '')));
  const argumentsOfAll = () =>
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((name) => {
        try {
          return readFileSync(`/proc/${name}/cmdline`, 'utf8');
        } catch {
          return '';
        }
      })
      .join('\n');
  const until = async (condition: () => boolean | Promise<boolean>) => {
    while (!(await condition())) await sleep(50);
  };

  it('a health command, with the environment of the instance', async () => {
    await startInstance();
    const wrong = { health: { command: healthy('another') }, startSeconds: 5 };
    await supervisor.remove('web.blue.1');
    const error = await rejection(startInstance(wrong));
    expect(error).to.have.property('message').that.contains('the health command node ended with 3');
  });

  it('a secret of any characters, in no argument and in no file but its own', async () => {
    await startInstance();
    expect(JSON.parse(await ask('/env'))).to.have.property('TOKEN', secret);
    expect(argumentsOfAll()).not.to.contain('S3crét');
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => {
      const path = join(folder, file);
      return statSync(path, { throwIfNoEntry: false })?.isFile() === true && readFileSync(path).includes('S3crét');
    });
    expect(files.map((file) => join(folder, file))).to.eql([layout.applicationSecretFile(`token.${secrets['token']}`)]);
  });

  it('files: the user of the image may write there', async () => {
    await writeFile(join(layout.files('uploads'), 'old'), 'old');
    await chmod(join(layout.files('uploads'), 'old'), 0o666);
    await startInstance();
    expect(await ask('/save')).to.equal('saved');
    const read = (file: string) => readFileSync(join(layout.files('uploads'), file), 'utf8');
    expect([read('old'), read('new')]).to.eql(['oldmore', 'new']);
    expect(statSync(join(layout.files('uploads'), '..')).mode & 0o777).to.equal(0o700);
  });

  it('a preview: its health command, and a copy of the files that it may write to', async () => {
    await writeFile(join(layout.files('uploads'), 'old'), 'old', { mode: 0o600 });
    const access = { host: '127.0.0.1', port: 1, database: 'none', caFile: layout.caFile() };
    const login = { user: 'none', password: 'none' };
    const roles = { admin: login, owner: login, app: login };
    const preview = await createLocalPreviews(layout, spec).serve(artefact, { ...access, ...roles });
    try {
      const ca = readFileSync(layout.caFile());
      const said = new Promise<IncomingMessage>((resolve, reject) =>
        get(`${preview.baseUrl}/save`, { ca }, resolve).once('error', reject),
      );
      expect(await text(await said)).to.equal('saved');
      expect(argumentsOfAll()).not.to.contain('S3crét');
    } finally {
      await preview.dispose();
    }
    expect(readFileSync(join(layout.files('uploads'), 'old'), 'utf8')).to.equal('old');
    expect(readdirSync(layout.scratch())).to.eql([]);
    expect(containers()).to.eql([]);
  });

  describe('a worker', () => {
    const lines = () => {
      try {
        return readFileSync(join(layout.files('uploads'), 'lines'), 'utf8')
          .trim()
          .split('\n');
      } catch {
        return [];
      }
    };
    const begun = () => lines().filter((line) => line.endsWith(' began')).length;
    /** Runs that write after another one has begun. */
    const overlapping = () => {
      const ids = lines().map((line) => line.split(' ')[0] ?? '');
      const order = ids.filter((id, index) => id !== ids[index - 1]);
      return order.filter((id, index) => order.indexOf(id) !== index);
    };
    const record = () => readRecord(recordFile(layout.workers(), 'worker.blue.1'));
    const workers = () => createLocalWorkers(layout);
    beforeEach(async () => {
      for (const guard of guardsOf(await place())) await put(guard);
    });

    it('runs in its turn alone, and leaves no container', async () => {
      expect(containers()).to.eql([]);
      await workers().run('blue');
      await until(() => begun() === 1);
      expect(containers()).to.have.lengthOf(1);
      expect(argumentsOfAll()).not.to.contain('S3crét');
      const { ended, killed } = await workers().pause();
      expect({ ended, killed }).to.eql({ ended: ['worker.blue.1'], killed: [] });
      const before = lines().length;
      expect(containers()).to.eql([]);
      await sleep(100);
      expect(lines()).to.have.lengthOf(before);
    });

    it('never runs twice where its guard or the command line of the engine is killed', async () => {
      await workers().run('blue');
      for (const [round, victim] of (['guard', 'engine', 'guard'] as const).entries()) {
        await until(() => begun() === round + 1 && record()?.run?.leader !== undefined);
        const { guard, run } = record() ?? {};
        const pid = victim === 'guard' ? guard?.pid : run?.leader?.pid;
        process.kill(pid ?? 0, 'SIGKILL');
      }
      await until(() => begun() === 4);
      expect(containers()).to.have.lengthOf(1);
      expect(overlapping()).to.eql([]);
    });

    it('ends where neither its guard nor the supervisor is there', async () => {
      await workers().run('blue');
      await until(() => begun() === 1 && record()?.run?.leader !== undefined);
      process.kill(Number(readFileSync(pidFile(supervisor.files), 'utf8')), 'SIGKILL');
      process.kill(record()?.guard.pid ?? 0, 'SIGKILL');
      await workers().pause();
      expect(containers()).to.eql([]);
    });
  });

  it('a one-off command: what it reads, its exit code, and no container afterwards', async () => {
    const script = `process.stdin.on('data', (read) => console.log(String(read), process.getuid(), process.env.UPLOADS)).on('end', () => process.exit(process.env.TOKEN.length === ${secret.length} ? 7 : 1))`;
    const { argv, directory, variables, ...prepared } = await createLocalCommands(layout, spec).prepare({
      colour: 'blue',
      artefact,
      service: 'web',
      role: 'app',
      command: ['node', '-e', script],
      input: 'pipe',
    });
    expect(argv.join('\n')).not.to.contain('S3crét');
    const child = spawn(argv[0] ?? '', argv.slice(1), {
      ...bareEnvironment(variables),
      cwd: directory,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const exit = new Promise((resolve) => child.once('exit', resolve));
    child.stdin.end('from here');
    expect(await text(child.stdout)).to.equal(`from here 1000 ${layout.files('uploads')}\n`);
    expect(await exit).to.equal(7);
    await prepared.end();
    expect(containers()).to.eql([]);
  });
});
