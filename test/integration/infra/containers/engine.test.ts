import { expect } from 'chai';
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runArguments } from '../../../../infra/containers/commands.ts';
import { containerProgram, removeAbandoned } from '../../../../infra/containers/containers.ts';
import { findEngine } from '../../../../infra/containers/engine.ts';
import { attempt } from '../../../../infra/containers/execute.ts';
import { makeImage } from '../../../../infra/containers/images.ts';
import { findRuntime } from '../../../../infra/containers/runtime.ts';
import { childEnvironment } from '../../../../infra/lib/child-environment.ts';
import { ImageFolder, podman, removeTestImages } from '../../../lib/image.ts';
import { rejection } from '../local/postgres/environment.ts';

describe('the container engine', function () {
  this.timeout(120_000);
  let folder: string;
  const before_ = { ...process.env };
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'greenlight-engine-'));
  });
  afterEach(() => {
    for (const name of ['DOCKER_HOST', 'CONTAINER_HOST', 'PATH', 'GREENLIGHT_TOOLS', 'DOCKER_BUILDKIT'])
      if (before_[name] === undefined) delete process.env[name];
      else process.env[name] = before_[name];
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const found = async (wanted: 'auto' | 'podman' | 'docker') => (await rejection(findEngine(wanted))).message;

  it('is podman where it answers', async () => {
    expect(await findEngine('auto')).to.include({ name: 'podman' });
    expect((await findEngine('auto')).version).to.match(/^\d+\.\d+/);
  });

  it('is none of another machine', async () => {
    process.env['CONTAINER_HOST'] = 'ssh://root@192.0.2.1/run/podman/podman.sock';
    expect(await found('podman')).to.contain('podman is set to an engine elsewhere (CONTAINER_HOST)');
    process.env['DOCKER_HOST'] = 'tcp://192.0.2.1:2375';
    expect(await found('docker')).to.contain('docker is set to an engine elsewhere (tcp://192.0.2.1:2375)');
    expect(await found('auto'))
      .to.contain('CONTAINER_HOST')
      .and.contain('192.0.2.1:2375')
      .and.contain('apt-get install podman');
  });

  it('is none whose command line has no engine, or is not there', async () => {
    process.env['DOCKER_HOST'] = `unix://${join(folder, 'nobody.sock')}`;
    expect(await found('docker')).to.contain('docker does not answer');
    const tools = join(folder, 'tools');
    process.env['GREENLIGHT_TOOLS'] = tools;
    process.env['PATH'] = tools;
    expect(await found('docker')).to.match(/docker (is not installed|does not answer)/);
  });

  it('removes containers whose program was killed, and no others', async () => {
    const engine = await findEngine('podman');
    const image = new ImageFolder();
    image.dockerfile(['USER 1000']);
    const wanted = { application: 'test-engine', version: '1.0.0', service: 'web', root: image.directory };
    const spec = { dockerfile: 'Dockerfile', context: '.', args: {}, root: false, readOnly: true };
    const runtime = await findRuntime(engine);
    const { facts } = await makeImage(engine, {
      ...wanted,
      image: spec,
      secrets: '/nowhere',
      runtime,
      timeoutMs: 60_000,
    });
    const of = {
      environment: 'staging' as const,
      image: facts.id,
      program: ['node', '-e', 'setInterval(() => {}, 1000)'],
    };
    const rest = { env: {}, limits: {}, readOnly: true, mounts: [], owned: true, runtime };
    const own = containerProgram(engine, { ...of, ...rest, name: 'job-own' });
    const left = containerProgram(engine, { ...of, ...rest, name: 'job-left' });
    // The process of that number cannot be there: it is above the kernel's highest.
    const abandon = (argv: string[]) => argv.map((part) => part.replace(`-of-${process.pid}.`, '-of-4194305.'));
    const children = [own.argv, abandon(left.argv)].map(([program = '', ...args]) =>
      spawn(program, args, { stdio: 'ignore', ...childEnvironment(own.env) }),
    );
    const names = () =>
      podman('ps', '--format', '{{.Names}}', '--filter', 'label=greenlight.owner')
        .trim()
        .split('\n')
        .filter((name) => name.endsWith(`-of-${process.pid}.job-own`) || name.endsWith('-of-4194305.job-left'));
    try {
      while (names().length < 2) await sleep(50);
      const removed = await removeAbandoned(engine, 'staging');
      expect(removed).to.have.length(1);
      expect(removed[0]).to.match(/-staging-of-4194305\.job-left$/);
      expect(names()).to.have.length(1);
    } finally {
      for (const [program = '', ...args] of [own.clear, abandon(left.clear)])
        await attempt({ ...engine, path: program }, args, { timeoutMs: 20_000 });
      for (const child of children) child.kill('SIGKILL');
      image.close();
      removeTestImages('test-engine');
    }
  });

  describe('docker, whose command line talks to a socket', () => {
    let service: ChildProcess;
    let image: ImageFolder;
    before(async function () {
      if (!existsSync('/usr/local/bin/docker') && !existsSync('/usr/bin/docker')) this.skip();
      const socket = join(folder, 'docker.sock');
      // Podman speaks Docker's language there. Its default runtime may not work here.
      const config = join(folder, 'containers.conf');
      const runtime = await findRuntime(await findEngine('podman'));
      writeFileSync(config, runtime === undefined ? '' : `[engine]\nruntime = "${runtime}"\n`);
      const args = ['system', 'service', '--time', '0', `unix://${socket}`];
      service = spawn('podman', args, { stdio: 'ignore', ...childEnvironment({ CONTAINERS_CONF: config }) });
      while (!existsSync(socket)) await sleep(50);
      chmodSync(socket, 0o600);
      image = new ImageFolder();
    });
    beforeEach(() => {
      process.env['DOCKER_HOST'] = `unix://${join(folder, 'docker.sock')}`;
      // Podman's socket has no BuildKit.
      process.env['DOCKER_BUILDKIT'] = '0';
    });
    after(async () => {
      if (service === undefined) return;
      service.kill();
      await new Promise((resolve) => service.once('exit', resolve));
      image.close();
      removeTestImages('test-docker');
    });

    it('builds, refuses root, runs without a value among its arguments, and removes', async () => {
      const engine = await findEngine('docker');
      const wanted = { application: 'test-docker', version: '1.0.0', service: 'web', root: image.directory };
      const spec = { dockerfile: 'Dockerfile', context: '.', args: {}, root: false, readOnly: true };
      const of = { ...wanted, image: spec, secrets: '/nowhere', timeoutMs: 60_000 };
      image.dockerfile([]);
      expect((await rejection(makeImage(engine, of))).message).to.contain('the image runs as root');
      image.dockerfile(['USER 1000:1000']);
      const { facts } = await makeImage(engine, of);
      const program = ['node', '-p', 'process.env.SECRET + process.getuid()'];
      const container = {
        name: 'greenlight-test-docker',
        image: facts.id,
        program,
        env: ['SECRET'],
        mounts: [],
        labels: {},
      };
      const argv = runArguments(engine, { ...container, readOnly: true, memoryMegabytes: 256, cpus: 1 });
      expect(argv.join(' ')).not.to.contain('hunter2');
      const ran = await attempt({ ...engine, env: { ...engine.env, SECRET: 'hunter2-' } }, argv, { timeoutMs: 60_000 });
      expect(ran.all.trim()).to.equal('hunter2-1000');
    });
  });
});
