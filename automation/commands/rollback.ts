import { setTimeout as sleep } from 'node:timers/promises';
import { greenlight } from '../../infra/lib/command.ts';
import { OperationError } from '../../infra/lib/errors.ts';
import { environmentDirectory } from '../../infra/lib/paths.ts';
import {
  pastReleases,
  unfinishedRelease,
  type PastRelease,
  requestRollback,
  withdrawRequest,
} from '../journal/history.ts';
import { LockedError, readLock } from './lock.ts';
import { abandonRelease } from '../release/resume.ts';
import { exitCodes } from '../ui/exit-codes.ts';
import { openSession, pullReleases, withLocks, type CommandOptions, type CommandSession } from './session.ts';

/**
 * `npm run rollback`: makes the old version live again, with the writes made since. Possible until the clean-up. With `acceptLoss` also
 * where the replication back is broken: without the writes that it has not brought.
 */
export async function rollback(options: CommandOptions & { acceptLoss?: boolean }): Promise<number> {
  const acceptLoss = options.acceptLoss ?? false;
  const session = await openSession(options);
  try {
    await pullReleases(session, 'production');
    const open = unfinishedRelease('production', session.definition);
    if (open === undefined) throw tooLate();
    try {
      return await withLocks(session, ['production', 'staging'], 'rollback', async () => {
        const done = await abandonRelease(session, open, greenlight('rollback'), { acceptLoss });
        return done.verdict === 'failed' ? exitCodes.problem : exitCodes.go;
      });
    } catch (error) {
      if (!(error instanceof LockedError)) throw error;
      if (acceptLoss) throw stopFirst(open.id);
      return await askRunningRelease(session, open);
    }
  } finally {
    session.close();
  }
}

function tooLate(): OperationError {
  const doing = 'rolling back';
  const [latest] = pastReleases('production');
  if (latest?.ended === undefined)
    return new OperationError(doing, 'there was no release', `start one: ${greenlight('release')}`);
  const { id, ended, started } = latest;
  const left = ended.verdict === 'go' ? 'and was cleaned up: the way back is closed' : 'and changed nothing';
  const old = started.from?.version;
  const todo =
    ended.verdict === 'go' && old !== undefined
      ? `release the old version again: ${greenlight('release', '--version', old)}`
      : `see what is live: ${greenlight('status')}`;
  return new OperationError(doing, `release ${id} has ended (${ended.verdict}) ${left}`, todo);
}

const stopFirst = (id: string): OperationError =>
  new OperationError(
    'rolling back with a loss',
    `release ${id} is running`,
    `ask it for an ordinary rollback first: ${greenlight('rollback')}. Where it cannot, it ends and says why; then repeat this`,
  );

const stopped = (id: string): OperationError =>
  new OperationError(
    'rolling back',
    `release ${id} was asked to roll back, and ended without doing so`,
    `its terminal says why; then: ${greenlight('rollback')}`,
  );

/** Asks the release that runs in another process to roll back, and waits for its end. */
async function askRunningRelease(session: CommandSession, running: PastRelease): Promise<number> {
  requestRollback(running.directory);
  try {
    for (;;) {
      session.waiting(`release ${running.id} is rolling back`);
      await sleep(500, undefined, { signal: session.signal });
      // The lock is read before the journal, because a release writes its end before it unlocks.
      const gone = readLock(environmentDirectory('production')) === undefined;
      const now = pastReleases('production').find(({ id }) => id === running.id);
      if (now?.ended === undefined && gone) throw stopped(running.id);
      if (now?.ended === undefined) continue;
      session.terminal.print(`release ${running.id}: ${now.ended.verdict}: ${now.ended.reason}`);
      return now.ended.verdict === 'rolled-back' || now.ended.verdict === 'aborted' ? exitCodes.go : exitCodes.problem;
    }
  } finally {
    withdrawRequest(running.directory);
  }
}
