import { expect } from 'chai';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { podmanCommands } from '../../../../infra/aws/runtime/jobs/images.ts';
import { ownPlatform } from '../../../../infra/containers/platform.ts';
import { inspectImage, makeImage, pushImage } from '../../../../infra/containers/images.ts';
import { runArguments } from '../../../../infra/containers/commands.ts';
import { readImages } from '../../../../infra/containers/record.ts';
import { findRuntime } from '../../../../infra/containers/runtime.ts';
import { bareEnvironment } from '../../../../infra/lib/child-environment.ts';
import { freePorts } from '../../../../infra/lib/free-ports.ts';
import { until } from '../../../../infra/lib/poll.ts';
import { createLocalImages, ensureImages } from '../../../../infra/local/runtime/images.ts';
import type { ImageSpec } from '../../../../infra/model.ts';
import { ImageFolder, podman, removeTestImages, testEngine } from '../../../lib/image.ts';
import { rejection } from '../local/postgres/environment.ts';

const application = 'test-images';
type Built = Extract<ImageSpec, { dockerfile: string }>;
const built = (more: Partial<Built> = {}): Built => ({
  dockerfile: 'Dockerfile',
  context: '.',
  args: {},
  root: false,
  readOnly: true,
  ...more,
});

describe('images of services', function () {
  this.timeout(120_000);
  let image: ImageFolder;
  let folder: string;
  const images = createLocalImages('podman', (text) => text);
  before(async () => {
    image = new ImageFolder();
    folder = await mkdtemp(join(tmpdir(), 'greenlight-images-'));
  });
  after(async () => {
    image.close();
    removeTestImages(application);
    await rm(folder, { recursive: true, force: true });
  });

  const wanted = (spec: ImageSpec, more: object = {}) => ({
    application,
    version: '1.0.0',
    service: 'web',
    image: spec,
    root: image.directory,
    secrets: join(folder, '.greenlight'),
    timeoutMs: 60_000,
    ...more,
  });
  const refused = async (spec: ImageSpec, more: object = {}): Promise<string> => {
    const error = await rejection(makeImage(await testEngine(), wanted(spec, more)));
    return error.message;
  };
  /** Makes the image of `web` as a release does, and resolves to its artefact. */
  const make = async (spec: ImageSpec, more: object = {}) => {
    const out = await mkdtemp(join(folder, 'artefact-'));
    const request = { application, version: '1.0.0', services: [{ name: 'web', image: spec }], root: image.directory };
    const signal = new AbortController().signal;
    const notes = await images.make({ ...request, out, logs: join(out, 'logs'), timeoutMs: 60_000, signal, ...more });
    return { notes, artefact: { version: '1.0.0', digest: 'sha256:0', location: out } };
  };

  it('that run as root are refused, unless the definition allows it', async () => {
    for (const user of ['', 'USER root', 'USER 0:0']) {
      image.dockerfile([user]);
      expect(await refused(built()))
        .to.contain('the image runs as root')
        .and.contain('image.root: true');
    }
    const { notes } = await make(built({ root: true }));
    expect(notes).to.eql(['the image of web runs as root, as image.root allows']);
  });

  it('of another platform are refused', async () => {
    image.dockerfile(['USER 1000']);
    const other = process.arch === 'arm64' ? 'amd64' : 'arm64';
    const tag = 'localhost/greenlight/test-images/other:1';
    podman('build', '--quiet', '--arch', other, '--tag', tag, image.directory);
    expect(await refused({ reference: tag, root: false, readOnly: true })).to.contain(
      `the image is for linux/${other}, and this machine is linux/`,
    );
  });

  it('that cannot be built are refused with what the engine says', async () => {
    image.dockerfile(['COPY nothing-of-that-name /']);
    expect(await refused(built())).to.match(
      /podman ended with exit code \d+:[^]*nothing-of-that-name[^]*run it by hand: podman build/,
    );
    expect(await refused(built({ dockerfile: 'None' })))
      .to.contain('there is no ')
      .and.contain('correct image.dockerfile of the service web');
  });

  it('run their RUN steps by a runtime that works here', async () => {
    image.dockerfile(['RUN ["node", "-e", "console.log(6 * 7)"]', 'USER 1000']);
    const { artefact } = await make(built());
    expect(await readFile(join(artefact.location, 'logs', 'image-web.log'), 'utf8')).to.match(/^42$/m);
  });

  it("that could get Greenlight's secrets are refused, until they are left out", async () => {
    image.dockerfile(['USER 1000']);
    const secrets = join(image.directory, '.greenlight');
    expect(await refused(built(), { secrets }))
      .to.contain('holds secrets')
      .and.contain('add the line .greenlight to');
    image.write('.dockerignore', '.greenlight\n');
    await makeImage(await testEngine(), wanted(built(), { secrets }));
  });

  it('are built for a version, with arguments and a target', async () => {
    image.write(
      'Two',
      [
        'FROM scratch AS one',
        'LABEL greenlight.test=yes',
        'ARG GREENLIGHT_VERSION',
        'ARG MORE',
        'LABEL all="$GREENLIGHT_VERSION $MORE"',
        'USER 7',
        'FROM scratch AS two',
        'LABEL greenlight.test=yes',
        'USER 8',
        'COPY app /',
        '',
      ].join('\n'),
    );
    const { artefact } = await make(built({ dockerfile: 'Two', target: 'one', args: { MORE: 'and more' } }), {
      version: '3.2.1',
    });
    const id = readImages(artefact.location)?.services['web']?.id ?? '';
    expect(podman('image', 'inspect', '--format', '{{.Config.Labels.all}}/{{.User}}', id).trim()).to.equal(
      '3.2.1 and more/7',
    );
    expect(await readFile(join(artefact.location, 'logs', 'image-web.log'), 'utf8')).to.contain('STEP');
  });

  it('survive a pruning, go with `destroy --all`, and are missed with what to do', async () => {
    image.dockerfile(['USER 1000', 'LABEL kept=yes']);
    const { artefact } = await make(built());
    podman('image', 'prune', '--force');
    await ensureImages(application, artefact);
    const id = readImages(artefact.location)?.services['web']?.id ?? '';
    expect(await images.removeAll(application)).to.include(
      `localhost/greenlight/${application}/web:${id.slice(7, 19)}`,
    );
    expect(await inspectImage(await testEngine(), id)).to.equal(undefined);
    const error = await rejection(ensureImages(application, artefact));
    expect(error)
      .to.have.property('message')
      .that.contains('podman does not have it any more')
      .and.contains('npm run release -- --version 1.0.0');
  });

  it('are named once: a tag that moves afterwards is noticed, and does not count', async () => {
    const tag = 'localhost/greenlight/test-images/moving:1';
    image.dockerfile(['USER 1000', 'LABEL is=one']);
    podman('build', '--quiet', '--tag', tag, image.directory);
    const { artefact, notes } = await make({
      reference: 'localhost/greenlight/test-images/moving:1',
      root: false,
      readOnly: true,
    });
    expect(notes.join()).to.contain('could not be fetched; the image of that name on this machine is used');
    expect(await images.moved(artefact)).to.eql([]);
    image.dockerfile(['USER 1000', 'LABEL is=two']);
    podman('build', '--quiet', '--tag', tag, image.directory);
    const [said] = await images.moved(artefact);
    expect(said).to.match(
      /moving:1 has moved since web 1.0.0 was built: it is sha256:\w+ now; the release goes on with sha256:/,
    );
    await ensureImages(application, artefact);
  });

  describe('in a registry', () => {
    let registry: ChildProcess;
    let address: string;
    before(async () => {
      const [port] = await freePorts(1);
      address = `127.0.0.1:${port}`;
      const config = join(folder, 'registry.yml');
      await writeFile(
        config,
        `version: 0.1\nstorage: { filesystem: { rootdirectory: ${join(folder, 'registry')} } }\nhttp: { addr: ${address} }\n`,
      );
      registry = spawn('docker-registry', ['serve', config], { ...bareEnvironment(), stdio: 'ignore' });
      const answers = async () =>
        (await fetch(`http://${address}/v2/`).then(
          ({ ok }) => ok,
          () => false,
        )) || 'no answer';
      await until(answers, {
        everyMs: 50,
        timeoutMs: 20_000,
        doing: 'starting the registry',
        todo: 'install docker-registry',
      });
    });
    after(async () => {
      registry.kill();
      await new Promise((resolve) => registry.once('exit', resolve));
    });

    it('are pushed, fetched by digest where they are gone here, and run', async () => {
      image.dockerfile(['USER 1000:1000']);
      const { artefact } = await make(built(), { registry: `${address}/team` });
      const { id = '', source = '' } = readImages(artefact.location)?.services['web'] ?? {};
      expect(source).to.match(new RegExp(`^${address}/team/test-images/web@sha256:[0-9a-f]{64}$`));
      podman('rmi', '--force', id);
      await ensureImages(application, artefact);
      const engine = await testEngine();
      const container = {
        name: 'greenlight-test-of-registry',
        image: id,
        program: ['node', '-p', 'process.getuid()'],
        env: [],
        mounts: [],
        labels: {},
      };
      const runtime = await findRuntime(engine);
      const argv = runArguments(engine, { ...container, readOnly: true, memoryMegabytes: 256, cpus: 1, runtime });
      expect(podman(...argv).trim()).to.equal('1000');
    });

    it('are built and pushed for AWS by the same commands, and run from there', async () => {
      image.dockerfile(['USER 1000:1000']);
      const engine = await testEngine();
      const reference = `${address}/sample/production:0123`;
      const context = image.directory;
      const of = { dockerfile: join(context, 'Dockerfile'), reference, platform: ownPlatform(), context };
      const runtime = await findRuntime(engine);
      for (const command of podmanCommands(of, runtime)) podman(...command);
      const headers = { accept: 'application/vnd.oci.image.manifest.v1+json' };
      const answer = await fetch(`http://${address}/v2/sample/production/manifests/0123`, { headers });
      const digest = `${address}/sample/production@${answer.headers.get('docker-content-digest')}`;
      podman('rmi', '--force', reference);
      podman('pull', '--quiet', '--tls-verify=false', digest);
      const program = ['node', '-p', '6 * 7'];
      const container = { name: 'greenlight-test-of-aws', image: digest, program, env: [], mounts: [], labels: {} };
      const argv = runArguments(engine, { ...container, readOnly: true, memoryMegabytes: 256, cpus: 1, runtime });
      expect(podman(...argv).trim()).to.equal('42');
      podman('rmi', '--force', digest);
    });

    it('are named by a tag that moves there: the digest of the build counts', async () => {
      const engine = await testEngine();
      const push = async (label: string) => {
        image.dockerfile(['USER 1000', `LABEL is=${label}`]);
        const { facts } = await makeImage(engine, wanted(built()));
        await pushImage(engine, facts.id, `${address}/team/moving:1.0.0`);
        return facts.id;
      };
      const one = await push('one');
      const { artefact, notes } = await make({
        reference: `${address}/team/moving:{version}`,
        root: false,
        readOnly: true,
      });
      expect([notes, readImages(artefact.location)?.services['web']?.id]).to.eql([[], one]);
      const two = await push('two');
      expect(await images.moved(artefact)).to.eql([
        `${address}/team/moving:1.0.0 has moved since web 1.0.0 was built: it is ${two} now; the release goes on with ${one}`,
      ]);
      podman('rmi', '--force', one);
      await ensureImages(application, artefact);
      expect(await inspectImage(engine, one)).to.have.property('id', one);
    });
  });
});
