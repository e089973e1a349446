import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { greenlight } from '../lib/command.ts';
import { OperationError } from '../lib/errors.ts';
import type { ImageSpec } from '../model.ts';
import * as commands from './commands.ts';
import { contextProblem } from './context.ts';
import type { Engine } from './engine.ts';
import { attempt, execute, failure, quickMs } from './execute.ts';
import { ownPlatform } from './platform.ts';

/** Makes images be there: builds, pulls, checks, keeps, pushes and removes them. Images are addressed by what they contain. */

/** Longest time for a build, a pull or a push, ms. */
export const transferMs = 30 * 60_000;

/** What an engine says of an image. */
export interface ImageFacts {
  /** `sha256:<hex>` */
  id: string;
  /** `<repository>@sha256:<hex>` */
  digests: string[];
  os: string;
  architecture: string;
  user: string;
}

/** Undefined if the engine does not have it. */
export async function inspectImage(engine: Engine, image: string): Promise<ImageFacts | undefined> {
  const ended = await attempt(engine, commands.inspectArguments(image), { timeoutMs: quickMs });
  return ended.failed ? undefined : readFacts(ended.stdout);
}

/** Reads the answer of `image inspect`, which Podman and Docker write alike. */
export function readFacts(text: string): ImageFacts {
  const [found] = JSON.parse(text) as {
    Id: string;
    RepoDigests?: string[] | null;
    Os: string;
    Architecture: string;
    User?: string;
    Config?: { User?: string } | null;
  }[];
  if (found === undefined) throw new Error('the engine says nothing of the image');
  return {
    id: found.Id.startsWith('sha256:') ? found.Id : `sha256:${found.Id}`,
    digests: found.RepoDigests ?? [],
    os: found.Os,
    architecture: found.Architecture,
    user: found.Config?.User ?? found.User ?? '',
  };
}

const isRoot = (user: string): boolean => ['', '0', 'root'].includes(user.split(':')[0] ?? '');

const platformOf = ({ os, architecture }: ImageFacts): string => `${os}/${architecture}`;

/** Why this machine does not run the image; undefined if it does. */
export function unfit(image: ImageFacts, allowed: { root: boolean }): { found: string; todo: string } | undefined {
  const here = ownPlatform();
  const platform = platformOf(image);
  if (platform !== here)
    return {
      found: `the image is for ${platform}, and this machine is ${here}`,
      todo: `build or name an image for ${here}`,
    };
  if (isRoot(image.user) && !allowed.root)
    return {
      found: 'the image runs as root',
      todo: 'add a line USER <uid> to its Dockerfile; or set image.root: true, if the application needs to be root',
    };
  return undefined;
}

/** Name of a service's image that Greenlight gives it, so that pruning leaves what a rollback needs. */
export const ownTag = (application: string, service: string, id: string): string =>
  `${ownPrefix(application)}${service}:${id.replace('sha256:', '').slice(0, 12)}`;
const ownPrefix = (application: string): string => `localhost/greenlight/${application}/`;

export interface Wanted {
  application: string;
  version: string;
  service: string;
  image: ImageSpec;
  /** Directory that the paths of the definition are relative to. */
  root: string;
  /** Directory with Greenlight's secrets, which no image may get. */
  secrets: string;
  /** OCI runtime. Undefined: the engine's default. */
  runtime?: string | undefined;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

export interface Made {
  facts: ImageFacts;
  /** Where it can be fetched from. */
  source?: string | undefined;
  /** What the engine printed. */
  log: string;
  notes: string[];
}

/** Builds or fetches the image of one service, refuses one that may not run here, and keeps it. */
export async function makeImage(engine: Engine, wanted: Wanted): Promise<Made> {
  const doing = `making the image of ${wanted.service} ${wanted.version}`;
  const made =
    'reference' in wanted.image
      ? await fetchImage(engine, wanted, wanted.image.reference, doing)
      : await build(engine, wanted, wanted.image, doing);
  const wrong = unfit(made.facts, wanted.image);
  if (wrong !== undefined) throw new OperationError(doing, wrong.found, wrong.todo);
  if (isRoot(made.facts.user)) made.notes.push(`the image of ${wanted.service} runs as root, as image.root allows`);
  await keep(engine, made.facts.id, ownTag(wanted.application, wanted.service, made.facts.id));
  return made;
}

async function build(
  engine: Engine,
  wanted: Wanted,
  image: Extract<ImageSpec, { dockerfile: string }>,
  doing: string,
): Promise<Made> {
  const dockerfile = join(wanted.root, image.dockerfile);
  const context = join(wanted.root, image.context);
  for (const [key, path] of Object.entries({ dockerfile, context }))
    if (!existsSync(path))
      throw new OperationError(doing, `there is no ${path}`, `correct image.${key} of the service ${wanted.service}`);
  const problem = contextProblem({ context, dockerfile, secrets: wanted.secrets });
  if (problem !== undefined) throw new OperationError(doing, problem.found, problem.todo);
  const folder = await mkdtemp(join(tmpdir(), 'greenlight-image-'));
  try {
    const idFile = join(folder, 'id');
    const args = { ...image.args, GREENLIGHT_VERSION: wanted.version };
    const { target } = image;
    const of = { dockerfile, context, target, args, platform: ownPlatform(), idFile, runtime: wanted.runtime };
    const byHand = `run it by hand: ${[engine.name, ...commands.buildArguments({ ...of, idFile: undefined })].join(' ')}`;
    const once = async (fresh: boolean) => {
      const ended = await attempt(engine, commands.buildArguments({ ...of, fresh }), wanted);
      if (ended.failed) throw failure(engine.name, ended, { doing, todo: byHand });
      const facts = await inspectImage(engine, (await readFile(idFile, 'utf8')).trim());
      if (facts === undefined)
        throw new OperationError(doing, 'the engine does not have the image that it built', byHand);
      return { facts, log: ended.all, notes: [] };
    };
    const made = await once(false);
    // Podman's cache also has the layers of builds for other platforms, and does not tell them apart.
    return platformOf(made.facts) === ownPlatform() ? made : await once(true);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** `{version}` in a reference is the version that is released. */
export const referenceOf = (reference: string, version: string): string => reference.replaceAll('{version}', version);

async function fetchImage(engine: Engine, wanted: Wanted, asked: string, doing: string): Promise<Made> {
  const reference = referenceOf(asked, wanted.version);
  const pulled = await attempt(engine, commands.pullArguments(engine.name, reference), wanted);
  const facts = await inspectImage(engine, reference);
  const todo = `check application.services image.reference and that ${engine.name} is logged in: ${engine.name} pull ${reference}`;
  if (facts === undefined) throw failure(engine.name, pulled, { doing, todo });
  const notes = pulled.failed
    ? [`${reference} could not be fetched; the image of that name on this machine is used (${facts.id})`]
    : [];
  const repository = `${reference.replace(/@.*$/, '').replace(/:[^:/]*$/, '')}@`;
  // The same image may be known by other names, too.
  const named = facts.digests.filter((digest) => digest.startsWith(repository));
  const source = pulled.failed ? undefined : await fetchable(engine, named.length > 0 ? named : facts.digests, wanted);
  return { facts, source, log: pulled.all, notes };
}

/** The digest that the registry knows. Podman lists that of the image as it was built here, too, in no order that tells them apart. */
async function fetchable(engine: Engine, digests: string[], wanted: Wanted): Promise<string | undefined> {
  if (digests.length < 2) return digests[0];
  for (const digest of digests)
    if (!(await attempt(engine, commands.pullArguments(engine.name, digest), wanted)).failed) return digest;
  return undefined;
}

async function keep(engine: Engine, image: string, tag: string): Promise<void> {
  const todo = `check the engine: ${engine.name} images`;
  await execute(engine, commands.tagArguments(image, tag), {
    doing: `keeping the image ${tag}`,
    todo,
    timeoutMs: quickMs,
  });
}

/** Pushes an image and resolves to its address there, `<repository>@sha256:<hex>`. */
export async function pushImage(
  engine: Engine,
  image: string,
  tag: string,
  options: { timeoutMs?: number; signal?: AbortSignal | undefined } = {},
): Promise<string> {
  const doing = `pushing the image ${tag}`;
  const todo = `check application.registry and that ${engine.name} is logged in there: ${engine.name} login`;
  const limits = { timeoutMs: transferMs, ...options };
  const folder = await mkdtemp(join(tmpdir(), 'greenlight-push-'));
  try {
    await keep(engine, image, tag);
    const digestFile = join(folder, 'digest');
    const ended = await execute(engine, commands.pushArguments(engine.name, tag, digestFile), {
      doing,
      todo,
      ...limits,
    });
    const written = await readFile(digestFile, 'utf8').catch(() => ended.all);
    const digest = /sha256:[0-9a-f]{64}/.exec(written)?.[0];
    if (digest === undefined)
      throw new OperationError(doing, 'the engine does not say the digest of what it pushed', todo);
    return `${tag.slice(0, tag.lastIndexOf(':'))}@${digest}`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Makes an image of a version be there again, from where it can be fetched. Rejects with an OperationError if it is gone. */
export async function ensureImage(
  engine: Engine,
  image: { id: string; source?: string | undefined },
  of: { application: string; service: string; version: string },
): Promise<void> {
  const there = await inspectImage(engine, image.id);
  const doing = `looking for the image of ${of.service} ${of.version}`;
  if (there === undefined) {
    const gone = `${engine.name} does not have it any more (${image.id})`;
    if (image.source === undefined)
      throw new OperationError(
        doing,
        gone,
        `build this version again: ${greenlight('release', '--version', of.version)}`,
      );
    const pulled = await attempt(engine, commands.pullArguments(engine.name, image.source), { timeoutMs: transferMs });
    const back = await inspectImage(engine, image.source);
    if (back === undefined)
      throw failure(engine.name, pulled, { doing: `${doing}: ${gone}`, todo: `push it to ${image.source} again` });
    if (back.id !== image.id)
      throw new OperationError(doing, `${image.source} is ${back.id}, and not ${image.id}`, 'build this version again');
  }
  await keep(engine, image.id, ownTag(of.application, of.service, image.id));
}

/** The image that a reference means now; undefined if that cannot be found out. */
export async function currentImage(engine: Engine, reference: string): Promise<string | undefined> {
  await attempt(engine, commands.pullArguments(engine.name, reference), { timeoutMs: quickMs });
  return (await inspectImage(engine, reference))?.id;
}

/** Removes all images that Greenlight has kept for an application. Resolves to their names. */
export async function removeImages(engine: Engine, application: string): Promise<string[]> {
  const listed = await attempt(engine, commands.imagesArguments(), { timeoutMs: quickMs });
  const own = listed.stdout.split('\n').filter((tag) => tag.startsWith(ownPrefix(application)));
  if (own.length > 0) await attempt(engine, commands.untagArguments(own), { timeoutMs: quickMs });
  return own;
}
