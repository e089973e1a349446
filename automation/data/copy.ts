import { execa } from 'execa';
import { bareEnvironment } from '../../infra/child-environment.ts';
import { OperationError, messageOf } from '../../infra/errors.ts';
import type { DatabaseAccess } from '../../infra/platform.ts';
import { toolPath } from '../../infra/tools.ts';
import { withClient } from './connect.ts';
import { clientEnvironment, copySchema, refreshMaterialisedViews } from './schema.ts';

/** Longest copy of all rows, ms. */
const copyMs = 3_600_000;

/**
 * Copies schema, rows and sequences of `from` into the empty database `to`, once: nothing follows later changes.
 * Rejects with an OperationError; what was copied until then stays, and the caller empties the database.
 */
export async function copyDatabase(from: DatabaseAccess, to: DatabaseAccess): Promise<void> {
  await copySchema(from, to);
  const settings = { timeout: copyMs } as const;
  // Triggers had their effect when the rows were first written; foreign keys held there and hold here.
  const options = ['--format=plain', '--data-only', '--disable-triggers', '--exclude-schema=greenlight'];
  try {
    await execa(toolPath('pg_dump'), options, {
      ...settings,
      ...bareEnvironment(clientEnvironment(from)),
      buffer: { stdout: false },
    }).pipe(toolPath('psql'), ['--no-psqlrc', '--quiet', '--single-transaction', '--set=ON_ERROR_STOP=1', '--file=-'], {
      ...settings,
      ...bareEnvironment(clientEnvironment(to)),
      stdout: 'ignore',
    });
  } catch (error) {
    const text = (error as { stderr?: string }).stderr?.trim().split('\n').slice(0, 5).join('\n');
    throw new OperationError(
      `copying the rows from port ${from.port} to port ${to.port}`,
      text || messageOf(error),
      'see that the target is empty and has room',
      { cause: error },
    );
  }
  await withClient(to, 'admin', refreshMaterialisedViews);
}
