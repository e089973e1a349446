import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { containerName, containerPids, removeContainers } from '../../../../../infra/containers/containers.ts';
import { imagesOf } from '../../../../../infra/containers/record.ts';
import { childEnvironment } from '../../../../../infra/lib/child-environment.ts';
import { freePorts, isFree } from '../../../../../infra/lib/free-ports.ts';
import { createCertificates } from '../../../../../infra/local/lib/certificates.ts';
import { Layout, type Ports } from '../../../../../infra/local/lib/layout.ts';
import { createLocalImages } from '../../../../../infra/local/runtime/images.ts';
import { createLocalInstances } from '../../../../../infra/local/runtime/instances.ts';
import { instanceProcess } from '../../../../../infra/local/stacks/instance.ts';
import { resolveSecrets } from '../../../../../infra/local/provider/secret-reference.ts';
import { pidFile, programLog, type Program } from '../../../../../infra/local/supervisor/config.ts';
import { Supervisor } from '../../../../../infra/local/supervisor/supervisor.ts';
import type { EnvironmentName, EnvironmentSpec, ServiceSpec } from '../../../../../infra/model.ts';
import { ImageFolder, podman, removeTestImages, server } from '../../../../lib/image.ts';
import { moveHome } from '../../../../lib/own-home.ts';
import { rejection } from '../postgres/environment.ts';

const application = 'test-instances';
const version = '1.2.3';
const password = 'the-password-of-app';

describe('instances in containers', function () {
  this.timeout(120_000);
  let folder: string;
  let image: ImageFolder;
  let artefact: { version: string; digest: string; location: string };
  let ports: Ports;
  let homeBack: () => void;
  const layouts: Layout[] = [];

  const service: ServiceSpec = {
    name: 'web',
    start: [],
    image: { dockerfile: 'Dockerfile', context: '.', args: {}, root: false, readOnly: true },
    limits: { memoryMegabytes: 128 },
    health: '/healthz',
    routes: ['/'],
    instances: 1,
    database: true,
    env: { GREETING: `it's "quoted" $HOME` },
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'greenlight instances-'));
    homeBack = moveHome(folder);
    image = new ImageFolder();
    image.write('app/server.mjs', server);
    image.dockerfile(['ARG GREENLIGHT_VERSION', 'USER 1000:1000', 'CMD ["node", "server.mjs"]']);
    const location = join(folder, 'artefacts', 'a'.repeat(64));
    await mkdir(location, { recursive: true });
    await createLocalImages('podman', (text) => text).make({
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
  afterEach(async () => {
    for (const layout of layouts.splice(0)) await new Supervisor(layout).shutdown();
    for (const environment of ['staging', 'production'] as const) await removeContainers(environment);
  });
  after(async () => {
    image.close();
    removeTestImages(application);
    await rm(folder, { recursive: true, force: true });
    homeBack();
  });

  /** A supervisor with one instance of `web`. */
  async function start(
    change: Partial<Program> = {},
    of: Partial<ServiceSpec> = {},
    environment: EnvironmentName = 'staging',
  ) {
    const layout = new Layout(environment);
    layouts.push(layout);
    await createCertificates(layout.certificates());
    await mkdir(join(layout.directory, 'secrets'), { recursive: true });
    await writeFile(layout.secretFile('blue-app'), password);
    const supervisor = new Supervisor(layout);
    await supervisor.start();
    const spec = { environment, services: [service], integrations: [] } as unknown as EnvironmentSpec;
    const port = environment === 'staging' ? (ports.instances.blue['web']?.[0] ?? 0) : ((await freePorts(1))[0] ?? 0);
    const images = await imagesOf(artefact);
    const wanted = {
      layout,
      spec,
      ports,
      colour: { colour: 'blue' as const },
      artefact,
      service: { ...service, ...of },
      port,
      index: 0,
      images,
    };
    const { balanced: _, ...program } = instanceProcess(wanted);
    const env = Object.fromEntries(
      Object.entries(program.env).map(([name, value]) => [name, resolveSecrets(layout, value)]),
    );
    const complete: Program = { ...program, logMegabytes: 1, ...change, env: { ...env, ...change.env } };
    await supervisor.put(complete);
    const ask = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).text();
    const log = () => readFileSync(programLog(supervisor.files, 'web.blue.1'), 'utf8');
    return { layout, supervisor, port, ask, log, program: complete };
  }

  const id = (environment: EnvironmentName = 'staging') => {
    try {
      return podman('container', 'inspect', '--format', '{{.Id}}', containerName(environment, 'web.blue.1')).trim();
    } catch {
      return undefined;
    }
  };
  const conmon = () =>
    Number(podman('container', 'inspect', '--format', '{{.State.ConmonPid}}', containerName('staging', 'web.blue.1')));
  const pid = async () => (await containerPids('staging', ['web.blue.1'])).get('web.blue.1') ?? 0;
  /** Waits for another container that answers, with no limit but the test's. */
  async function untilAnother(before: string | undefined, ask: (path: string) => Promise<string>): Promise<void> {
    for (;;) {
      const now = id();
      if (now !== undefined && now !== before && (await ask('/version').catch(() => '')) === version) return;
      await sleep(100);
    }
  }

  it('get their variables, run as the user of the image, and can write to /tmp alone', async () => {
    const { ask } = await start();
    expect(await ask('/version')).to.equal(version);
    expect(await ask('/user')).to.equal('1000');
    expect(await ask('/write')).to.equal('EROFS');
    expect(await ask('/tmp')).to.equal('written');
    const env = JSON.parse(await ask('/env')) as Record<string, string>;
    expect(env).to.include({
      HOST: '127.0.0.1',
      GREETING: service.env['GREETING'],
      PATH: '/bin',
      GREENLIGHT_COLOUR: 'blue',
    });
    expect(env['DATABASE_URL']).to.contain(password);
    expect(env).not.to.have.property('GREENLIGHT_HOME');
  });

  it('have no secret in any argument of this machine', async () => {
    await start();
    const all = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((name) => {
        try {
          return readFileSync(`/proc/${name}/cmdline`, 'utf8');
        } catch {
          return '';
        }
      });
    expect(all.filter((text) => text.includes('web.blue.1'))).not.to.eql([]);
    expect(all.filter((text) => text.includes(password))).to.eql([]);
  });

  it('finish on SIGTERM, and leave no container', async () => {
    const { supervisor, log } = await start();
    await supervisor.stopProgram('web.blue.1');
    expect(log()).to.match(/ending\n$/);
    expect(id()).to.equal(undefined);
  });

  it('are killed where they do not finish in time, and leave no container and no port', async () => {
    const { supervisor, port } = await start(
      { stopSeconds: 1, env: { STUBBORN: 'yes' } },
      { env: { STUBBORN: 'yes' } },
    );
    await supervisor.stopProgram('web.blue.1');
    expect(id()).to.equal(undefined);
    expect(await isFree(port)).to.equal(true);
  });

  it("come back where the engine's command line is killed", async () => {
    const { supervisor, ask } = await start();
    const before = id();
    process.kill((await supervisor.state('web.blue.1'))?.pid ?? 0, 'SIGKILL');
    await untilAnother(before, ask);
  });

  it('come back where the monitor of the container is killed', async () => {
    const { ask } = await start();
    const before = id();
    process.kill(conmon(), 'SIGKILL');
    await untilAnother(before, ask);
  });

  it('come back where the application is killed', async () => {
    const { ask } = await start();
    const before = id();
    process.kill(await pid(), 'SIGKILL');
    await untilAnother(before, ask);
  });

  it('come back where the application takes more memory than it may', async () => {
    const { ask } = await start();
    const before = id();
    await ask('/hog').catch(() => 'killed');
    await untilAnother(before, ask);
  });

  it('are taken over by the next supervisor where theirs is killed', async () => {
    const { supervisor, ask, program } = await start();
    const before = id();
    process.kill(Number(readFileSync(pidFile(supervisor.files), 'utf8')), 'SIGKILL');
    while (await supervisor.running()) await sleep(50);
    expect(await ask('/version')).to.equal(version);
    await supervisor.start();
    await supervisor.put(program);
    await untilAnother(before, ask);
  });

  it('are found by their labels where the files of the supervisor are lost', async () => {
    const { supervisor, port } = await start();
    const [main, client] = [
      Number(readFileSync(pidFile(supervisor.files), 'utf8')),
      (await supervisor.state('web.blue.1'))?.pid,
    ];
    for (const one of [main, client ?? 0]) process.kill(one, 'SIGKILL');
    await rm(supervisor.files.directory, { recursive: true });
    expect(await isFree(port)).to.equal(false);
    expect(await removeContainers('staging')).to.eql([containerName('staging', 'web.blue.1')]);
    expect(await isFree(port)).to.equal(true);
  });

  it('of two environments run side by side', async () => {
    const [one, two] = [await start(), await start({}, {}, 'production')];
    expect([await one.ask('/version'), await two.ask('/version')]).to.eql([version, version]);
    await one.supervisor.remove('web.blue.1');
    expect([id('staging'), typeof id('production')]).to.eql([undefined, 'string']);
    expect(await two.ask('/version')).to.equal(version);
  });

  it('are listed with the process of the application, and not of the engine', async () => {
    const { layout } = await start();
    const [instance] = await createLocalInstances(layout).list();
    expect(instance?.pid).to.equal(await pid());
    expect(await readFile(`/proc/${instance?.pid}/cmdline`, 'utf8')).to.equal('node\0server.mjs\0');
  });

  it('that end because they cannot write are said to, with what to do', async () => {
    const writing = { start: ['node', '-e', "require('fs').writeFileSync('/app/cache', 'x')"] };
    const error = await rejection(start({}, writing));
    expect(error).to.have.property('message').that.matches(/EROFS/).and.contains('image.readOnly: false');
  });

  it('have the limits that the definition names', async () => {
    await start();
    const format =
      '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}} {{.HostConfig.CapDrop}} {{.HostConfig.NetworkMode}}';
    const said = podman('container', 'inspect', '--format', format, containerName('staging', 'web.blue.1')).trim();
    expect(said).to.match(new RegExp(`^${128 * 1024 * 1024} 1000000000 512 .*host$`));
    const status = execFileSync('grep', ['-E', 'CapEff|NoNewPrivs', `/proc/${await pid()}/status`], {
      encoding: 'utf8',
      ...childEnvironment(),
    });
    expect(status).to.contain('CapEff:\t0000000000000000').and.to.contain('NoNewPrivs:\t1');
  });
});
