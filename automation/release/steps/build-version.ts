import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa, ExecaError } from 'execa';
import { callersEnvironment, childEnvironment } from '../../../infra/lib/child-environment.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import type { Artefact } from '../../../infra/model.ts';
import { projectRoot } from '../../../infra/lib/paths.ts';
import type { Platform } from '../../../infra/platform/platform.ts';
import type { ReleaseDefinition } from '../../config/schema.ts';

export interface BuildResult {
  artefact: Artefact;
  files: number;
  bytes: number;
}

/**
 * Builds one version by the application's own command and stores what it wrote, addressed by its content.
 * Rejects with an OperationError if the command fails, takes too long or writes nothing.
 */
export async function buildVersion(
  definition: ReleaseDefinition,
  platform: Pick<Platform, 'artefacts'>,
  version: string,
  signal: AbortSignal,
): Promise<BuildResult> {
  const { command, timeoutSeconds } = definition.application.build;
  const out = await mkdtemp(join(tmpdir(), 'greenlight-build-'));
  try {
    const [program, ...args] = command as [string, ...string[]];
    await execa(program, args, {
      cwd: projectRoot(),
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
    const size = await measure(out);
    return { artefact: await platform.artefacts.publish(out, version), ...size };
  } catch (error) {
    if (!(error instanceof ExecaError) || signal.aborted) throw error;
    const output = String(error.all ?? '')
      .trim()
      .split('\n')
      .slice(-15)
      .join('\n  ');
    const found = error.timedOut ? `it took longer than ${timeoutSeconds} s` : error.shortMessage;
    throw new OperationError(`building ${version}`, `${found}\n  ${output}`, `run it by hand: ${command.join(' ')}`);
  } finally {
    await rm(out, { recursive: true, force: true });
  }
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
