import { cp, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa, ExecaError } from 'execa';
import { callersEnvironment, childEnvironment } from '../../../infra/lib/child-environment.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import type { Artefact } from '../../../infra/model.ts';
import { home, projectRoot } from '../../../infra/lib/paths.ts';
import type { Platform } from '../../../infra/platform/platform.ts';
import type { ReleaseDefinition } from '../../config/schema.ts';
import { copyFolder, type FolderBuild } from './copy-folder.ts';

export interface BuildResult {
  artefact: Artefact;
  files: number;
  bytes: number;
  /** What a person should know of it, a sentence each. */
  notes: string[];
}

/** Longest time for the image of one service. */
const imageMs = 30 * 60_000;

/**
 * Builds one version by the application's own command, or copies a folder that can be run, and makes the images of its services. Stores
 * what there is then, addressed by its content. `logs` is a directory for what the builds print. Rejects with an OperationError if a command
 * fails, takes too long or writes nothing, or there are no such files.
 */
export async function buildVersion(
  definition: ReleaseDefinition,
  platform: Pick<Platform, 'artefacts' | 'images'>,
  version: string,
  signal: AbortSignal,
  logs?: string,
): Promise<BuildResult> {
  const out = await mkdtemp(join(tmpdir(), 'greenlight-build-'));
  try {
    const { build, migrations } = definition.application;
    if (build === undefined) {
      if (migrations !== undefined && 'directory' in migrations) await copyMigrations(migrations.directory, out);
    } else if ('command' in build)
      await runBuild(build.command, { ...build, cwd: projectRoot(), version, out, signal });
    else {
      refuseSameFiles(definition, build, version);
      await copyFolder(build, version, out, signal);
      if (build.prepare !== undefined) await runBuild(build.prepare, { ...build, cwd: out, version, out, signal });
    }
    const size = await measure(out);
    const notes = await makeImages(definition, platform, {
      version,
      out,
      signal,
      logs: logs ?? join(home(), 'builds'),
    });
    return { artefact: await platform.artefacts.publish(out, version), ...size, notes };
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

/** What is built, for the plan: what the build does, and the images. */
export function describeBuild({ application: { build, services } }: ReleaseDefinition, version: string): string {
  const images = services.flatMap(({ name, image }) => {
    if (image === undefined) return [];
    const from = 'reference' in image ? image.reference : image.dockerfile;
    return [`image of ${name} from ${from}${image.root ? ', which may run as root' : ''}`];
  });
  return [...(build === undefined ? [] : [describeFiles(build, version)]), ...images].join(', ');
}

function describeFiles(build: NonNullable<ReleaseDefinition['application']['build']>, version: string): string {
  if ('command' in build) return build.command.join(' ');
  const from = build.ref === undefined ? 'as it is' : `at ${build.ref.replaceAll('${version}', version)}`;
  return `the folder ${build.directory}, ${from}${build.prepare === undefined ? '' : `; there: ${build.prepare.join(' ')}`}`;
}

/** The working tree is the version that the definition is about, and no other one. */
function refuseSameFiles({ application }: ReleaseDefinition, { directory, ref }: FolderBuild, version: string): void {
  if (ref?.includes('${version}') === true || version === application.version) return;
  throw new OperationError(
    `building ${version}`,
    `the files of ${directory} are ${application.version}, and nothing says where those of ${version} are`,
    'give application.build.ref, such as v${version}',
  );
}

interface BuildRun {
  cwd: string;
  version: string;
  out: string;
  timeoutSeconds: number;
  signal: AbortSignal;
}

async function runBuild(command: string[], { cwd, version, out, timeoutSeconds, signal }: BuildRun): Promise<void> {
  const [program, ...args] = command as [string, ...string[]];
  try {
    await execa(program, args, {
      cwd,
      // The project's own Node first, as for everything that it runs.
      ...callersEnvironment({
        PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
        GREENLIGHT_VERSION: version,
        GREENLIGHT_OUT: out,
      }),
      timeout: timeoutSeconds * 1000,
      cancelSignal: signal,
      all: true,
      stdin: 'ignore',
    });
  } catch (error) {
    if (!(error instanceof ExecaError) || signal.aborted) throw error;
    const output = String(error.all ?? '')
      .trim()
      .split('\n')
      .slice(-15)
      .join('\n  ');
    const found = error.timedOut ? `it took longer than ${timeoutSeconds} s` : error.shortMessage;
    throw new OperationError(`building ${version}`, `${found}\n  ${output}`, `run it by hand: ${command.join(' ')}`);
  }
}

/** Without a build command the migrations are taken from the project as they are. */
async function copyMigrations(directory: string, out: string): Promise<void> {
  const from = join(projectRoot(), directory);
  await cp(from, join(out, directory), { recursive: true }).catch((cause: Error) => {
    const todo = 'correct application.migrations.directory: without application.build it is a directory of the project';
    throw new OperationError(`copying the migrations in ${from}`, cause.message, todo, { cause });
  });
}

async function makeImages(
  { application }: ReleaseDefinition,
  platform: Pick<Platform, 'images'>,
  of: { version: string; out: string; signal: AbortSignal; logs: string },
): Promise<string[]> {
  const { name, services, registry, build } = application;
  const first = services.find(({ image }) => image !== undefined);
  if (first === undefined || platform.images === undefined) return [];
  // Without a build nothing that jobs could run is in the artefact.
  const jobs = application.jobs.image ?? (build === undefined ? first.name : undefined);
  return platform.images.make({
    ...of,
    root: projectRoot(),
    application: name,
    services,
    registry,
    jobs,
    timeoutMs: imageMs,
  });
}

async function measure(directory: string): Promise<{ files: number; bytes: number }> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(file.parentPath, file.name))).size));
  return { files: files.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

export interface Source {
  commit: string;
  branch: string;
  /** Whether the work tree held changes that the commit does not. */
  dirty: boolean;
}

/** What is being released, from version control. A project without git says so instead of a commit. */
export async function readSource(directory = projectRoot()): Promise<Source> {
  const git = async (...args: string[]) =>
    (await execa('git', args, { ...childEnvironment(), cwd: directory })).stdout.trim();
  try {
    const [commit, branch, status] = await Promise.all([
      git('rev-parse', 'HEAD'),
      git('rev-parse', '--abbrev-ref', 'HEAD'),
      git('status', '--porcelain'),
    ]);
    return { commit, branch, dirty: status !== '' };
  } catch {
    return { commit: 'not under version control', branch: 'none', dirty: true };
  }
}

/** Sortable, readable and unique enough for a directory: `20261121-054200-2.0.0`. */
export function releaseId(version: string, now: Date): string {
  const stamp = now.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return `${stamp}-${version}`;
}
