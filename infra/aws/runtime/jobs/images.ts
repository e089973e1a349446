import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import {
  BatchGetImageCommand,
  DescribeImagesCommand,
  GetAuthorizationTokenCommand,
  GetDownloadUrlForLayerCommand,
} from '@aws-sdk/client-ecr';
import { execa } from 'execa';
import { dockerEnvironment } from '../../../lib/child-environment.ts';
import { greenlight } from '../../../lib/command.ts';
import { OperationError } from '../../../lib/errors.ts';
import type { Artefact } from '../../../model.ts';
import { home } from '../../../lib/paths.ts';
import { findTool } from '../../../lib/tools.ts';
import { imageTag } from '../../lib/names.ts';
import { dockerfilePath, type AwsSettings } from '../../lib/settings.ts';
import { calling, codeOf, isMissing } from '../client/errors.ts';
import type { Setting } from '../client/setting.ts';

/** Longest time for one build with its push, ms. */
const buildMs = 30 * 60_000;
const loginMs = 60_000;
const downloadMs = 10_000;
const tailLines = 15;

const platforms: Record<AwsSettings['tasks']['architecture'], string> = {
  X86_64: 'linux/amd64',
  ARM64: 'linux/arm64',
};

/** An image in the registry, with its platforms. Undefined platforms: the registry does not tell. */
interface Found {
  platforms: string[] | undefined;
}

export interface Images {
  /**
   * Builds and pushes the image of an artefact if the registry does not have it, and checks that tasks can run it.
   * Idempotent.
   */
  provide(artefact: Artefact): Promise<void>;
}

/** One image per build in the environment's registry, built by Docker on this machine. */
export function createAwsImages(setting: Setting): Images {
  const provided = new Map<string, Promise<void>>();
  return {
    provide: async (artefact) => {
      const running = provided.get(artefact.digest) ?? provide(setting, artefact);
      provided.set(artefact.digest, running);
      await running.catch((error: unknown) => {
        provided.delete(artefact.digest);
        throw error;
      });
    },
  };
}

async function provide(setting: Setting, artefact: Artefact): Promise<void> {
  const doing = `providing the image of version ${artefact.version}`;
  await calling(doing, async () => {
    const there = await find(setting, artefact);
    if (there === undefined) await make(setting, artefact, doing);
    // Read back also after a push by this machine, because another machine may have pushed first.
    const found = there ?? (await find(setting, artefact));
    if (found === undefined)
      throw new OperationError(
        doing,
        'it was pushed, but the registry does not list it',
        `look at the log of the build in .greenlight/aws/images, then: ${greenlight('resume')}`,
      );
    checkPlatform(doing, setting.settings.tasks.architecture, found);
  });
}

function checkPlatform(doing: string, architecture: AwsSettings['tasks']['architecture'], { platforms: found }: Found) {
  const wanted = platforms[architecture];
  if (found === undefined || found.includes(wanted)) return;
  throw new OperationError(
    doing,
    `the image is for ${found.join(' and ')}, but tasks run on ${wanted}`,
    `tags cannot be changed: delete that image from the registry, or correct tasks.architecture (aws); then: ${greenlight('resume')}`,
  );
}

/** `sample/production` of `123….dkr.ecr.eu-central-1.amazonaws.com/sample/production`. */
export function splitRepository(url: string): { registry: string; name: string } {
  const slash = url.indexOf('/');
  return { registry: url.slice(0, slash), name: url.slice(slash + 1) };
}

const manifestTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];

async function find({ clients, foundation }: Setting, { digest }: Artefact): Promise<Found | undefined> {
  const repositoryName = splitRepository(foundation.repository.url).name;
  const imageIds = [{ imageTag: imageTag(digest) }];
  try {
    await clients.images.send(new DescribeImagesCommand({ repositoryName, imageIds }));
  } catch (error) {
    if (isMissing(error) && codeOf(error) !== 'RepositoryNotFoundException') return undefined;
    throw error;
  }
  const command = new BatchGetImageCommand({ repositoryName, imageIds, acceptedMediaTypes: manifestTypes });
  const { images } = await clients.images.send(command);
  const manifest = images?.[0]?.imageManifest;
  const config = async (layerDigest: string): Promise<unknown> => {
    const asked = new GetDownloadUrlForLayerCommand({ repositoryName, layerDigest });
    const { downloadUrl = '' } = await clients.images.send(asked);
    return (await fetch(downloadUrl, { signal: AbortSignal.timeout(downloadMs) })).json();
  };
  return { platforms: manifest === undefined ? undefined : await platformsOf(manifest, config) };
}

interface Platform {
  os?: string;
  architecture?: string;
}

/** Platforms of a manifest: an index lists them, a single image names its own in its configuration. */
export async function platformsOf(
  manifest: string,
  config: (digest: string) => Promise<unknown>,
): Promise<string[] | undefined> {
  const parsed = JSON.parse(manifest) as { manifests?: { platform?: Platform }[]; config?: { digest: string } };
  const text = ({ os, architecture }: Platform) => `${os}/${architecture}`;
  if (parsed.manifests !== undefined) {
    const found = parsed.manifests.flatMap(({ platform }) => (platform === undefined ? [] : [text(platform)]));
    // Attestations are listed with the platform `unknown/unknown`.
    return found.filter((platform) => !platform.includes('unknown'));
  }
  if (parsed.config === undefined) return undefined;
  // Without the configuration the platform stays unknown. A task that cannot run reports it later.
  const found = (await config(parsed.config.digest).catch(() => undefined)) as Platform | undefined;
  return found?.architecture === undefined ? undefined : [text(found)];
}

/**
 * Arguments with which Docker builds and pushes an image. Without attestations, so that a tag is a single image and no
 * list.
 */
export const buildArguments = (image: {
  dockerfile: string;
  reference: string;
  platform: string;
  context: string;
}): string[] => [
  'buildx',
  'build',
  '--platform',
  image.platform,
  '--file',
  image.dockerfile,
  '--tag',
  image.reference,
  '--provenance=false',
  '--push',
  '--progress=plain',
  image.context,
];

/** Docker reads the password from standard input. */
export const loginArguments = (registry: string): string[] => [
  'login',
  '--username',
  'AWS',
  '--password-stdin',
  registry,
];

async function make(setting: Setting, artefact: Artefact, doing: string): Promise<void> {
  const { foundation, settings } = setting;
  const docker = findTool('docker');
  if (docker === undefined)
    throw new OperationError(
      doing,
      'docker is not installed on this machine, and the registry does not have the image',
      'install Docker with buildx, or let a machine that has it (CI) release this version first',
    );
  const { registry } = splitRepository(foundation.repository.url);
  const tag = imageTag(artefact.digest);
  const log = join(home(), 'aws', 'images', `${tag}.log`);
  await mkdir(dirname(log), { recursive: true, mode: 0o700 });
  const password = await loginPassword(setting);
  const login = await execa(docker, loginArguments(registry), {
    ...dockerEnvironment(),
    input: password,
    reject: false,
    all: true,
    timeout: loginMs,
  });
  if (login.failed) throw dockerError(`logging Docker in to ${registry}`, login, 'check that Docker runs: docker info');
  try {
    const dockerfile = dockerfilePath(settings.image);
    const reference = `${foundation.repository.url}:${tag}`;
    const platform = platforms[settings.tasks.architecture];
    const argv = buildArguments({ dockerfile, reference, platform, context: artefact.location });
    const build = await execa(docker, argv, {
      ...dockerEnvironment(),
      reject: false,
      all: true,
      stdin: 'ignore',
      timeout: buildMs,
    });
    await writeFile(log, build.all, { mode: 0o600 });
    // Not an error if another machine has pushed the same build meanwhile: tags are immutable.
    if (build.failed && !/tag is immutable|ImageTagAlreadyExists/.test(build.all))
      throw dockerError(doing, build, `see ${log}; the Dockerfile is ${dockerfile}`);
  } finally {
    // Removes the registry's password from Docker's configuration file.
    await execa(docker, ['logout', registry], {
      ...dockerEnvironment(),
      reject: false,
      stdin: 'ignore',
      timeout: loginMs,
    });
  }
}

async function loginPassword({ clients }: Setting): Promise<string> {
  const { authorizationData } = await clients.images.send(new GetAuthorizationTokenCommand({}));
  const token = Buffer.from(authorizationData?.[0]?.authorizationToken ?? '', 'base64').toString();
  return token.slice(token.indexOf(':') + 1);
}

interface Ended {
  all: string;
  timedOut: boolean;
  exitCode?: number;
}

function dockerError(doing: string, result: Ended, todo: string): OperationError {
  const said = stripVTControlCharacters(result.all).trim().split('\n').slice(-tailLines).join('\n  ');
  const how = result.timedOut ? 'it took too long' : `Docker ended with exit code ${result.exitCode ?? 'none'}`;
  return new OperationError(doing, said === '' ? how : `${how}:\n  ${said}`, todo);
}
