import { setTimeout as sleep } from 'node:timers/promises';
import { OperationError } from '../../infra/errors.ts';
import { pastReleases, unfinishedRelease, type PastRelease } from '../release/history.ts';
import { LockedError } from '../release/lock.ts';
import { requestRollback, withdrawRequest } from '../release/requests.ts';
import { abandonRelease } from '../release/resume.ts';
import { openSession, withLocks, type CommandOptions, type CommandSession } from './session.ts';

/** `npm run rollback`: the old version is live again, with every write made since; possible until clean-up. */
export async function rollback(options: CommandOptions): Promise<number> {
  const session = await openSession(options);
  try {
    const open = unfinishedRelease('production');
    if (open === undefined) throw tooLate();
    try {
      return await withLocks(['production', 'staging'], 'rollback', async () => {
        const done = await abandonRelease(session, open, 'npm run rollback');
        return done.verdict === 'failed' ? 1 : 0;
      });
    } catch (error) {
      if (!(error instanceof LockedError)) throw error;
      return await askRunningRelease(session, open);
    }
  } finally {
    session.close();
  }
}

function tooLate(): OperationError {
  const [latest] = pastReleases('production');
  const found =
    latest === undefined
      ? 'there was no release'
      : `release ${latest.id} has ended (${latest.ended?.verdict}) and was cleaned up`;
  const from = latest?.started.from?.version ?? '<version>';
  return new OperationError(
    'rolling back',
    found,
    `release the old version again: npm run release -- --version ${from}`,
  );
}

/** The release runs in another terminal: it is asked to roll back, and this one waits for its end. */
async function askRunningRelease(session: CommandSession, running: PastRelease): Promise<number> {
  requestRollback(running.directory);
  try {
    for (;;) {
      session.waiting(`release ${running.id} is rolling back`);
      await sleep(500, undefined, { signal: session.signal });
      const now = pastReleases('production').find(({ id }) => id === running.id);
      if (now?.ended === undefined) continue;
      session.terminal.print(`release ${running.id}: ${now.ended.verdict}: ${now.ended.reason}`);
      return now.ended.verdict === 'rolled-back' || now.ended.verdict === 'aborted' ? 0 : 1;
    }
  } finally {
    withdrawRequest(running.directory);
  }
}
