import { messageOf, OperationError } from '../../infra/lib/errors.ts';
import { awsSettingsOf } from '../config/schema-aws.ts';
import { unfinishedRelease, lastDurations } from '../journal/history.ts';
import { findLive, findLiveMeanwhile, type Live } from '../release/context/live.ts';
import { environmentSpec } from '../release/context/spec.ts';
import { planRelease } from '../release/plan.ts';
import { renderPlan } from '../ui/plan.ts';
import { columnsOf } from '../ui/text.ts';
import { stages } from '../release/stages/index.ts';
import { placementOf, startRelease, type FinishedRelease } from '../release/start.ts';
import { UntrustedState } from '../stacks/state.ts';
import { exitCodeOf } from '../ui/exit-codes.ts';
import { openSession, versionOf, withLocks, type CommandOptions, type CommandSession } from './session.ts';
import { environmentNames, other } from '../../infra/model.ts';

export interface ReleaseOptions extends CommandOptions {
  dryRun?: boolean;
  /** Instead of the release definition's. */
  version?: string;
}

/** `npm run release`: takes a version live on production. An empty production gets the baseline version first. */
export async function release(options: ReleaseOptions): Promise<number> {
  const session = await openSession(options);
  try {
    const version = versionOf(session, options.version);
    if (options.dryRun === true) return await dryRun(session, version);
    return await withLocks(session, ['production', 'staging'], version, async () => {
      refuseUnfinished(session);
      let live = await findLive(session, 'production');
      const { baseline } = session.definition.application;
      if (live === undefined && baseline !== undefined && baseline !== version) {
        const first = await goLive(session, baseline, live);
        if (first.verdict !== 'go') return exitCodeOf(first.verdict, first.approvalRefused);
        live = await findLive(session, 'production');
      }
      const next = await goLive(session, version, live);
      return exitCodeOf(next.verdict, next.approvalRefused);
    });
  } finally {
    session.close();
  }
}

export function goLive(session: CommandSession, version: string, live: Live | undefined): Promise<FinishedRelease> {
  const kind = live === undefined ? 'go-live' : 'release';
  return startRelease(session, { kind, environment: 'production', version, live });
}

/** What an interrupted release left has to be settled first. Asked under the lock: one that runs now is not unfinished. */
function refuseUnfinished(session: CommandSession): void {
  const open = unfinishedRelease('production', session.definition);
  if (open === undefined) return;
  throw new OperationError(
    'starting a release',
    `release ${open.id} is not finished: it was interrupted`,
    'go on with it: npm run resume; or go back: npm run rollback',
  );
}

async function dryRun(session: CommandSession, version: string): Promise<number> {
  const { definition, terminal } = session;
  const live = await readLiveIfPossible(session);
  const { baseline } = definition.application;
  const plan = (kind: 'go-live' | 'release', to: string, from: Live | undefined) => {
    const input = {
      kind,
      definition,
      ...(from === undefined ? {} : { from: placementOf(from) }),
      to: { colour: from === undefined ? 'blue' : other(from.colour), version: to },
    };
    const before = from && `${from.artefact.version} is live on ${from.colour}`;
    const heading =
      before === undefined
        ? `First go-live of ${to}`
        : live === undefined
          ? `Then ${to}, once ${before}`
          : `Release of ${to}; ${before}`;
    const planned = planRelease(stages, input, lastDurations('production', kind, definition.platform));
    terminal.print(renderPlan(planned, heading, columnsOf(process.stdout)));
  };
  if (live !== undefined) plan('release', version, live);
  else if (baseline === undefined || baseline === version) plan('go-live', version, undefined);
  else {
    plan('go-live', baseline, undefined);
    const artefact = { version: baseline, digest: '', location: '' };
    plan('release', version, { colour: 'blue', artefact });
  }
  if (definition.platform === 'aws') await printEstimate(session);
  return 0;
}

/** A plan can be looked at before there is an account: then it is the one of a first go-live. */
async function readLiveIfPossible(session: CommandSession): Promise<Live | undefined> {
  const { platform, terminal } = session;
  try {
    return await findLiveMeanwhile(session, 'production');
  } catch (error) {
    if (platform.name === 'local' || error instanceof UntrustedState) throw error;
    const why = messageOf(error).split('\n', 1).join();
    terminal.print(`What is live is not known (${why}): this is the plan of a first go-live.\n`);
    return undefined;
  }
}

/** What both environments would be made of, and what that would cost. Asks nobody. */
async function printEstimate({ definition, terminal }: CommandSession): Promise<void> {
  const { aws } = definition;
  if (aws === undefined) return;
  const { estimate, renderEstimate } = await import('../../infra/aws/cost/estimate.ts');
  for (const environment of environmentNames) {
    const spec = environmentSpec(definition, environment);
    const found = await estimate({ environment, spec, settings: awsSettingsOf(aws, environment) });
    terminal.print(`\n${renderEstimate(found)}`);
  }
}
