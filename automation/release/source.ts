import { execa } from 'execa';
import { childEnvironment } from '../../infra/child-environment.ts';
import { projectRoot } from '../../infra/paths.ts';

export interface Source {
  commit: string;
  branch: string;
  /** Whether the work tree held changes that the commit does not. */
  dirty: boolean;
}

/** What is being released, from version control. A project without git says so instead of a commit. */
export async function readSource(directory = projectRoot): Promise<Source> {
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
