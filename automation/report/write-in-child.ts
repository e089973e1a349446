import { join } from 'node:path';
import { execaNode, ExecaError } from 'execa';
import { childEnvironment, ownVariables } from '../../infra/lib/child-environment.ts';
import { OperationError } from '../../infra/lib/errors.ts';

const timeoutMs = 60_000;

/**
 * Writes the report of the release in `directory`, in a process of its own: drawing takes more memory than all the
 * rest of a release, and what goes wrong in it must not reach the release. The journal holds no secret, so neither
 * does what is made of it. Resolves to the path of report.html.
 */
export async function writeReportApart(directory: string): Promise<string> {
  try {
    await execaNode(join(import.meta.dirname, 'main.ts'), [directory], {
      ...childEnvironment({}, ownVariables),
      timeout: timeoutMs,
      nodeOptions: [],
    });
  } catch (error) {
    const found = error instanceof ExecaError ? String(error.stderr ?? error.shortMessage).trim() : String(error);
    throw new OperationError(
      `writing the report of ${directory}`,
      found.split('\n').slice(-3).join(' '),
      `the journal is whole: see that the disk has room, then run: node automation/report/main.ts ${directory}`,
      { cause: error },
    );
  }
  return join(directory, 'report.html');
}
