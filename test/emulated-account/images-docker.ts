import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { BatchGetImageCommand, DescribeRepositoriesCommand, ECRClient, PutImageCommand } from '@aws-sdk/client-ecr';
import { manifestOf, parseReference, readDockerfile, sha256, storeImage, type Reference } from './images.ts';

/**
 * The stand-in for `docker`: nothing is built, the context is the image. Settings are environment variables:
 * GREENLIGHT_TEST_IMAGES (directory of images), AWS_ENDPOINT_URL, and to cause failures
 * GREENLIGHT_TEST_DOCKER_BUILD_ERROR, GREENLIGHT_TEST_DOCKER_PUSH_ERROR (messages) and GREENLIGHT_TEST_DOCKER_PLATFORM
 * (platform of the result, whatever was requested).
 */
class Failure extends Error {}

const fail = (message: string): never => {
  throw new Failure(message);
};
const setting = (name: string): string => process.env[name] ?? '';
const root = (): string => setting('GREENLIGHT_TEST_IMAGES') || fail('GREENLIGHT_TEST_IMAGES is missing');

async function main(argv: string[]): Promise<void> {
  const [verb, ...rest] = argv;
  if (verb === 'version' || verb === '--version') return console.log('28.0.0');
  if (verb === 'login') return logIn(rest);
  if (verb === 'buildx' && rest[0] === 'version') return console.log('github.com/docker/buildx v0.20.0');
  if (verb === 'buildx' && rest[0] === 'build') return build(rest.slice(1));
  fail(`docker: '${argv.join(' ')}' is not emulated`);
}

const loginFile = (registry: string): string => join(root(), '.logins', registry.replace(/^https?:\/\//, ''));

async function logIn(args: string[]): Promise<void> {
  const options = { username: { type: 'string', short: 'u' }, 'password-stdin': { type: 'boolean' } } as const;
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  const registry = positionals[0] ?? fail('docker login: no registry was named');
  if (values['password-stdin'] !== true) fail('docker login: only --password-stdin is emulated');
  const password = (await text(process.stdin)).trim();
  if (values.username !== 'AWS' || password === '')
    fail(`Error response from daemon: login attempt to https://${registry}/v2/ failed with status: 400 Bad Request`);
  await mkdir(join(root(), '.logins'), { recursive: true });
  await writeFile(loginFile(registry), '', { mode: 0o600 });
  console.log('Login Succeeded');
}

async function build(args: string[]): Promise<void> {
  const value = { type: 'string' } as const;
  const options = {
    platform: value,
    file: { type: 'string', short: 'f' },
    tag: { type: 'string', short: 't' },
    push: { type: 'boolean' },
    progress: value,
    provenance: value,
    sbom: value,
    'build-arg': { type: 'string', multiple: true },
    label: { type: 'string', multiple: true },
    'no-cache': { type: 'boolean' },
    pull: { type: 'boolean' },
    quiet: { type: 'boolean', short: 'q' },
    builder: value,
    output: value,
    'metadata-file': value,
    iidfile: value,
    'cache-from': value,
    'cache-to': value,
    attest: { type: 'string', multiple: true },
  } as const;
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  const context = resolve(positionals[0] ?? fail('docker buildx build requires 1 argument: the context'));
  const name = values.tag ?? fail('docker buildx build: only with --tag');
  const file = values.file ?? join(context, 'Dockerfile');
  const dockerfile = await readFile(file, 'utf8').catch(() =>
    fail(`ERROR: failed to read dockerfile: open ${file}: no such file or directory`),
  );
  if (!(await stat(context).catch(() => undefined))?.isDirectory()) fail(`ERROR: path "${context}" not found`);
  const broken = setting('GREENLIGHT_TEST_DOCKER_BUILD_ERROR');
  if (broken !== '') fail(`ERROR: failed to solve: ${broken}`);
  if (values.push !== true) fail('docker buildx build: only with --push');

  const platform = setting('GREENLIGHT_TEST_DOCKER_PLATFORM') || (values.platform ?? 'linux/amd64');
  const settings = { platform, ...readDockerfile(dockerfile) };
  const manifest = await manifestOf(context, settings);
  const to = parseReference(name);
  const digest = await push(to, manifest, name);
  await storeImage(root(), to, context, { ...settings, digest });
  if (values['metadata-file'] !== undefined)
    await writeFile(values['metadata-file'], JSON.stringify({ 'containerimage.digest': digest, 'image.name': name }));
  console.error(`pushing manifest for ${name}@${digest} done`);
}

async function push(to: Reference, manifest: string, name: string): Promise<string> {
  const refuse = (why: string): never => fail(`ERROR: failed to solve: failed to push ${name}: ${why}`);
  const refused = setting('GREENLIGHT_TEST_DOCKER_PUSH_ERROR');
  if (refused !== '') refuse(refused);
  if ((await stat(loginFile(to.registry)).catch(() => undefined)) === undefined)
    refuse(
      `unexpected status from HEAD request to https://${to.registry}/v2/: 401 Unauthorized: no basic auth credentials`,
    );
  const [account = '', , , region = ''] = to.registry.split('.');
  const credentials = { accessKeyId: 'AKIAEMULATED', secretAccessKey: 'emulated' };
  const client = new ECRClient({ region, ...(setting('AWS_ACCESS_KEY_ID') === '' ? { credentials } : {}) });
  const digest = sha256(manifest);
  const repositoryName = to.repository;
  try {
    await client
      .send(new DescribeRepositoriesCommand({ repositoryNames: [repositoryName] }))
      .catch((error: Error) =>
        error.name === 'RepositoryNotFoundException'
          ? refuse(
              `name unknown: The repository with name '${repositoryName}' does not exist in the registry with id '${account}'`,
            )
          : Promise.reject(error),
      );
    // An image that exists is not pushed again: pushing the same image twice is no error.
    const there = await client.send(new BatchGetImageCommand({ repositoryName, imageIds: [{ imageTag: to.tag }] }));
    if (there.images?.[0]?.imageManifest === manifest) return digest;
    await client.send(new PutImageCommand({ repositoryName, imageTag: to.tag, imageManifest: manifest }));
    return digest;
  } catch (error) {
    // moto omits `Tag` in this name.
    if (!/^Image(Tag)?AlreadyExistsException$/.test((error as Error).name)) throw error;
    return refuse(
      `tag invalid: The image tag '${to.tag}' already exists in the '${repositoryName}' repository and cannot be overwritten because the tag is immutable.`,
    );
  } finally {
    client.destroy();
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Failure ? error.message : error);
  process.exitCode = 1;
}
