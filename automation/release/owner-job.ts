import { databaseUrl } from '../../infra/database-url.ts';
import { OperationError } from '../../infra/errors.ts';
import type { DatabaseAccess, Job, Jobs } from '../../infra/platform.ts';

/**
 * Runs a command of the application that changes its database: with DATABASE_URL of the role that owns the schema.
 * Rejects with an OperationError about `doing` if it fails or takes too long; the log has the rest.
 */
export async function runAsOwner(
  jobs: Jobs,
  access: DatabaseAccess,
  doing: string,
  job: Omit<Job, 'env' | 'results'>,
): Promise<void> {
  const result = await jobs.run({ ...job, env: { DATABASE_URL: databaseUrl(access, 'owner') } });
  if (result.exitCode === 0) return;
  const found = result.timedOut ? 'it took too long' : `exit code ${result.exitCode ?? 'none'}`;
  throw new OperationError(doing, `${found}\n  ${result.tail}`, `see ${job.log}`);
}
