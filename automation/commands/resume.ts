import { greenlight } from '../../infra/lib/command.ts';
import { OperationError } from '../../infra/lib/errors.ts';
import { unfinishedRelease } from '../journal/history.ts';
import { findLive } from '../release/context/live.ts';
import { resumeRelease } from '../release/resume.ts';
import { exitCodeOf } from '../ui/exit-codes.ts';
import { goLive } from './release.ts';
import { openSession, withLocks, type CommandOptions } from './session.ts';

/** `npm run resume`: finishes an interrupted release, after comparing the journal with what is live. */
export async function resume(options: CommandOptions): Promise<number> {
  const session = await openSession(options);
  try {
    return await withLocks(session, ['production', 'staging'], 'resume', async () => {
      const open = unfinishedRelease('production', session.definition);
      if (open === undefined) {
        throw new OperationError('resuming a release', 'none is unfinished', `start one: ${greenlight('release')}`);
      }
      const done = await resumeRelease(session, open);
      const { version } = session.definition.application;
      // A first go-live of the baseline is followed by the release of the version.
      if (done.verdict !== 'go' || open.started.kind !== 'go-live' || open.started.to.version === version) {
        return exitCodeOf(done.verdict, done.approvalRefused);
      }
      const next = await goLive(session, version, await findLive(session, 'production'));
      return exitCodeOf(next.verdict, next.approvalRefused);
    });
  } finally {
    session.close();
  }
}
