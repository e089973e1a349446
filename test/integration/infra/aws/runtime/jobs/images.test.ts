import { expect } from 'chai';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { packageRoot } from '../../../../../../infra/lib/paths.ts';
import { BatchDeleteImageCommand, DescribeImagesCommand } from '@aws-sdk/client-ecr';
import { imageTag } from '../../../../../../infra/aws/lib/names.ts';
import { createAwsImages } from '../../../../../../infra/aws/runtime/jobs/images.ts';
import { refusal } from '../../../../../contract/databases.ts';
import { openAccount, type Account } from '../../setting.ts';

/** Stand-in for Docker: what is pushed is in the account's registry. */
const programs = join(packageRoot, 'test/emulated-account/programs');

describe('images in ECR', () => {
  let account: Account;
  let images: string;
  let config: Server;
  /** What the registry says of the platform; undefined: nothing. */
  let platform: { os: string; architecture: string } | undefined;
  const before_ = { ...process.env };

  before(async () => {
    account = await openAccount();
    images = join(account.folder, 'images');
    config = createServer((_, response) => void response.end(JSON.stringify(platform ?? {})));
    await new Promise<void>((done) => config.listen(0, '127.0.0.1', done));
    const { port } = config.address() as AddressInfo;
    const body = Buffer.from(JSON.stringify({ downloadUrl: `http://127.0.0.1:${port}/`, layerDigest: 'x' }));
    const headers = { 'content-type': 'application/x-amz-json-1.1' };
    const before = () => Promise.resolve({ status: 200, headers, body });
    account.gateway.use([{ service: 'ecr', actions: ['GetDownloadUrlForLayer'], before }]);
  });
  beforeEach(() => {
    platform = { os: 'linux', architecture: 'amd64' };
    const own = {
      GREENLIGHT_TOOLS: programs,
      GREENLIGHT_TEST_IMAGES: images,
      AWS_ENDPOINT_URL: account.gateway.endpoint,
    };
    Object.assign(process.env, own);
  });
  afterEach(() => {
    for (const name of Object.keys(process.env)) if (!(name in before_)) delete process.env[name];
    process.env['GREENLIGHT_TOOLS'] = before_['GREENLIGHT_TOOLS'] ?? '';
    account.gateway.faults.clear();
  });
  after(async () => {
    config.close();
    await account.close();
  });

  let number = 0;
  async function build() {
    const digest = `sha256:${String((number += 1)).padStart(64, '0')}`;
    const location = join(account.folder, 'artefacts', `${number}`);
    await mkdir(location, { recursive: true });
    await writeFile(join(location, 'web.mjs'), `// ${number}`);
    return { version: '1.0.0', digest, location };
  }
  const make = () => createAwsImages(account);
  const tags = async (): Promise<string[]> =>
    (
      (await account.clients.images.send(new DescribeImagesCommand({ repositoryName: 'sample/staging' })))
        .imageDetails ?? []
    ).flatMap(({ imageTags = [] }) => imageTags);

  it('are made and pushed once, whoever asks again', async () => {
    const artefact = await build();
    const provider = make();
    await Promise.all([provider.provide(artefact), provider.provide(artefact)]);
    expect(await tags()).to.deep.equal([imageTag(artefact.digest)]);
    expect(await readdir(join(images, 'sample/staging', imageTag(artefact.digest)))).to.deep.equal(['web.mjs']);
    // Nothing is left to do: no Docker is needed any more.
    process.env['GREENLIGHT_TEST_DOCKER_BUILD_ERROR'] = 'not to be built again';
    await make().provide(artefact);
  });

  it('that cannot be built are an error with the end of the log, and the whole log is kept', async () => {
    process.env['GREENLIGHT_TEST_DOCKER_BUILD_ERROR'] = 'process "/bin/sh -c false" did not complete';
    const artefact = await build();
    const message = await refusal(make().provide(artefact));
    expect(message).to.match(/providing the image of version 1\.0\.0: Docker ended with exit code 1/);
    expect(message)
      .to.contain('did not complete')
      .and.to.contain(join('infra', 'aws', 'Dockerfile'));
    const [, log = ''] = /see (\S+\.log);/.exec(message) ?? [];
    expect(await readFile(log, 'utf8')).to.contain('did not complete');
    delete process.env['GREENLIGHT_TEST_DOCKER_BUILD_ERROR'];
    await make().provide(artefact);
  });

  it('that another machine pushed meanwhile are taken as they are', async () => {
    const artefact = await build();
    await make().provide(artefact);
    let asked = 0;
    const missing = { __type: 'ImageNotFoundException', message: 'The image does not exist within the repository.' };
    const headers = { 'content-type': 'application/x-amz-json-1.1' };
    const answer = { status: 400, headers, body: Buffer.from(JSON.stringify(missing)) };
    const before = () => Promise.resolve((asked += 1) === 1 ? answer : undefined);
    account.gateway.use([{ service: 'ecr', actions: ['DescribeImages'], before }]);
    process.env['GREENLIGHT_TEST_DOCKER_PUSH_ERROR'] = 'tag invalid: the tag is immutable.';
    await make().provide(artefact);
    expect(asked).to.equal(2);
  });

  it('need Docker only where they are missing, and say so', async () => {
    process.env['GREENLIGHT_TOOLS'] = account.folder;
    process.env['PATH'] = account.folder;
    const message = await refusal(make().provide(await build()));
    process.env['PATH'] = before_['PATH'] ?? '';
    expect(message).to.match(/docker is not installed on this machine.*\n.*install Docker/);
  });

  it('for another processor are found, and what to do is said', async () => {
    platform = { os: 'linux', architecture: 'arm64' };
    const artefact = await build();
    expect(await refusal(make().provide(artefact))).to.match(
      /is for linux\/arm64, but tasks run on linux\/amd64.*\n.*tasks\.architecture/,
    );
    platform = { os: 'linux', architecture: 'amd64' };
    await make().provide(artefact);
  });

  it('survive throttling', async () => {
    const artefact = await build();
    await make().provide(artefact);
    const imageIds = [{ imageTag: imageTag(artefact.digest) }];
    await account.clients.images.send(new BatchDeleteImageCommand({ repositoryName: 'sample/staging', imageIds }));
    account.gateway.faults.add({ kind: 'throttling', service: 'ecr', times: 2 });
    await make().provide(artefact);
    expect(await tags()).to.include(imageTag(artefact.digest));
  });
});
