import { join } from 'node:path';
import { execaNode, ExecaError } from 'execa';
import { childEnvironment, ownVariables } from '../../infra/lib/child-environment.ts';
import { OperationError } from '../../infra/lib/errors.ts';
import { ownProgram } from '../../infra/lib/paths.ts';

const timeoutMs = 60_000;

/**
 * Writes the report of the release in `directory`, in a child process: drawing the charts takes more memory than the
 * rest of a release, and its failure must not end the release. Secrets need no masking, because the journal has none.
 * Resolves to the path of report.html.
 */
export async function writeReportApart(directory: string): Promise<string> {
  const program = ownProgram(import.meta.dirname, 'main');
  try {
    await execaNode(program, [directory], {
      ...childEnvironment({}, ownVariables),
      timeout: timeoutMs,
      nodeOptions: [],
    });
  } catch (error) {
    const found = error instanceof ExecaError ? String(error.stderr ?? error.shortMessage).trim() : String(error);
    throw new OperationError(
      `writing the report of ${directory}`,
      found.split('\n').slice(-3).join(' '),
      `the journal is not affected: check for free disk space, then run: ${process.execPath} ${program} ${directory}`,
      { cause: error },
    );
  }
  return join(directory, 'report.html');
}
