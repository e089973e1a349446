import { other } from '../../infra/model.ts';
import { buildVersion } from '../release/steps/build-version.ts';
import { findLiveMeanwhile, liveColour } from '../release/context/live.ts';
import { startRelease } from '../release/start.ts';
import { exitCodeOf } from '../ui/exit-codes.ts';
import { openSession, versionOf, withLocks, type CommandOptions } from './session.ts';
import { greenlight } from '../../infra/lib/command.ts';

/**
 * `npm run rehearse`: makes the whole release on staging, from the version that is live on production (or the baseline)
 * to the version to release. For cron or CI: the exit code is the verdict.
 */
export async function rehearse(options: CommandOptions & { version?: string }): Promise<number> {
  const session = await openSession(options, `start again: ${greenlight('rehearse')}; staging can be used at once`);
  const { definition, engine, platform, signal } = session;
  try {
    const version = versionOf(session, options.version);
    return await withLocks(session, ['staging'], `rehearsal of ${version}`, async () => {
      const production = await findLiveMeanwhile(session, 'production');
      const staging = await liveColour(engine, 'staging');
      const old = definition.application.baseline ?? version;
      const artefact = production?.artefact ?? (await buildVersion(definition, platform, old, signal)).artefact;
      const colour = staging === undefined ? 'blue' : other(staging);
      const live = { colour, artefact };
      const done = await startRelease(session, { environment: 'staging', version, kind: 'rehearsal', live });
      return exitCodeOf(done.verdict, done.approvalRefused);
    });
  } finally {
    session.close();
  }
}
