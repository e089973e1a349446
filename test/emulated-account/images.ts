import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

/** Images in the emulated account: `<root>/<repository>/<tag>/` holds the files, `<tag>.image.json` the rest. */
export interface ImageFacts {
  /** Digest of the manifest: `sha256:…`. */
  digest: string;
  /** `linux/amd64`. */
  platform: string;
  entryPoint: string[];
  command: string[];
  env: Record<string, string>;
}

export interface Image extends ImageFacts {
  directory: string;
}

export interface Reference {
  /** `123456789012.dkr.ecr.eu-central-1.amazonaws.com`. Empty for Docker Hub. */
  registry: string;
  repository: string;
  tag: string;
  digest?: string;
}

/** Parses `<registry>/<repository>:<tag>@<digest>`. Only the repository is required. */
export function parseReference(text: string): Reference {
  const [name = '', digest] = text.split('@');
  const parts = name.split('/');
  const registry = parts.length > 1 && /[.:]|^localhost$/.test(parts[0] ?? '') ? (parts.shift() ?? '') : '';
  const [repository = '', tag = 'latest'] = parts.join('/').split(':');
  return { registry, repository, tag, ...(digest === undefined ? {} : { digest }) };
}

/** The image of a reference. Undefined if it was never pushed. */
export async function findImage(root: string, text: string): Promise<Image | undefined> {
  const { repository, tag, digest } = parseReference(text);
  const place = join(root, repository);
  const names =
    digest === undefined
      ? [tag]
      : (await readdir(place).catch(() => [])).filter((n) => n.endsWith(ending)).map((n) => n.slice(0, -ending.length));
  for (const name of names) {
    const facts = await readFile(join(place, `${name}${ending}`), 'utf8').catch(() => undefined);
    if (facts === undefined) continue;
    const image = { ...(JSON.parse(facts) as ImageFacts), directory: join(place, name) };
    if (digest === undefined || image.digest === digest) return image;
  }
  return undefined;
}

const ending = '.image.json';

/** Stores an image. Its facts are written last, so a partial image is never found. */
export async function storeImage(root: string, to: Reference, context: string, facts: ImageFacts): Promise<void> {
  const place = join(root, to.repository, to.tag);
  const work = `${place}.new-${process.pid}`;
  await mkdir(dirname(place), { recursive: true });
  await cp(context, work, { recursive: true });
  await rm(place, { recursive: true, force: true });
  await rename(work, place);
  await writeFile(`${place}${ending}.new`, JSON.stringify(facts));
  await rename(`${place}${ending}.new`, `${place}${ending}`);
}

/** The instructions of a Dockerfile that determine how its image runs. The last one of a kind counts. */
export function readDockerfile(text: string): Pick<ImageFacts, 'entryPoint' | 'command' | 'env'> {
  const lines = text
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.trim());
  const last = (instruction: string): string[] => {
    const line = lines.findLast((candidate) => candidate.toUpperCase().startsWith(`${instruction} `));
    const rest = line?.slice(instruction.length).trim() ?? '';
    if (rest === '') return [];
    return rest.startsWith('[') ? (JSON.parse(rest) as string[]) : ['/bin/sh', '-c', rest];
  };
  const env = lines
    .filter((line) => /^ENV /i.test(line))
    .flatMap((line) => [...line.matchAll(/([A-Za-z_]\w*)=("[^"]*"|\S*)/g)])
    .map(([, name = '', value = '']) => [name, value.replace(/^"(.*)"$/, '$1')] as const);
  return { entryPoint: last('ENTRYPOINT'), command: last('CMD'), env: Object.fromEntries(env) };
}

/** A minimal valid manifest. The same files, platform and settings give the same bytes. */
export async function manifestOf(context: string, facts: Omit<ImageFacts, 'digest'>): Promise<string> {
  const [os, architecture] = facts.platform.split('/');
  const layer = await contentOf(context);
  const config = JSON.stringify({
    os,
    architecture,
    config: { Entrypoint: facts.entryPoint, Cmd: facts.command, Env: facts.env },
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
  });
  const type = 'application/vnd.oci.image';
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: `${type}.manifest.v1+json`,
    config: { mediaType: `${type}.config.v1+json`, digest: sha256(config), size: Buffer.byteLength(config) },
    layers: [{ mediaType: `${type}.layer.v1.tar+gzip`, ...layer }],
  });
}

export const sha256 = (content: string): string => `sha256:${createHash('sha256').update(content).digest('hex')}`;

async function contentOf(context: string): Promise<{ digest: string; size: number }> {
  const entries = await readdir(context, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .sort();
  const hash = createHash('sha256');
  let size = 0;
  for (const file of files) {
    size += (await stat(file)).size;
    hash
      .update(`${relative(context, file)}\0`)
      .update(await readFile(file))
      .update('\0');
  }
  return { digest: `sha256:${hash.digest('hex')}`, size };
}
