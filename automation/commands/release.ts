import { greenlight } from '../../infra/lib/command.ts';
import { messageOf, OperationError } from '../../infra/lib/errors.ts';
import { unfinishedRelease, lastDurations } from '../journal/history.ts';
import { unmetPreconditions } from '../data/publication/preconditions.ts';
import { connectTo } from '../release/context/context.ts';
import { findLive, findLiveMeanwhile, type Live } from '../release/context/live.ts';
import { environmentSpec } from '../release/context/spec.ts';
import { planRelease } from '../release/plan.ts';
import { renderPlan } from '../ui/plan.ts';
import { columnsOf } from '../ui/text.ts';
import {
  copiesFiles,
  upgradeIn,
  type Kind,
  type LivePlacement,
  type PostgresVersions,
  type Release,
} from '../release/context/release.ts';
import { postgresVersions } from '../release/context/versions.ts';
import { stagesFor } from '../release/stages/index.ts';
import { placementOf, startRelease, type FinishedRelease } from '../release/start.ts';
import { UntrustedState } from '../stacks/state.ts';
import { exitCodeOf } from '../ui/exit-codes.ts';
import { openSession, versionOf, withLocks, type CommandOptions, type CommandSession } from './session.ts';
import { environmentNames, other, type Colour } from '../../infra/model.ts';

export interface ReleaseOptions extends CommandOptions {
  dryRun?: boolean;
  /** Instead of the release definition's. */
  version?: string;
}

/** `npm run release`: releases a version to production. An empty production gets the baseline version first. */
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
  const what = live === undefined ? { kind: 'go-live' as const } : { kind: 'release' as const, live };
  return startRelease(session, { environment: 'production', version, ...what });
}

/**
 * Refuses to start while an interrupted release is not finished. Called under the lock, so a running release is not
 * meant.
 */
function refuseUnfinished(session: CommandSession): void {
  const open = unfinishedRelease('production', session.definition);
  if (open === undefined) return;
  throw new OperationError(
    'starting a release',
    `release ${open.id} is not finished: it was interrupted`,
    `go on with it: ${greenlight('resume')}; or go back: ${greenlight('rollback')}`,
  );
}

/** Prints the plan of a release. It is made from the same stages as the release. */
async function dryRun(session: CommandSession, version: string): Promise<number> {
  const { definition, platform, terminal } = session;
  const live = await readLiveIfPossible(session);
  const { baseline } = definition.application;
  const print = (heading: string, placed: Kind & Pick<Release, 'to'>) => {
    const stages = stagesFor({ definition, platform, environment: 'production', ...placed });
    const planned = planRelease(stages, platform, lastDurations('production', placed.kind, platform.name));
    const { noEstimate } = platform;
    terminal.print(renderPlan(planned, heading, { columns: columnsOf(process.stdout), noEstimate }));
  };
  const first = (to: string) =>
    print(`First go-live of ${to}`, { kind: 'go-live', to: { colour: 'blue', version: to } });
  const next = (from: LivePlacement, before: string, postgres?: PostgresVersions) =>
    print(before, { kind: 'release', from, postgres, to: { colour: other(from.colour), version } });
  const versions = live && (await postgresVersions(session, 'production', live.colour));

  if (live !== undefined) {
    const from = placementOf(live);
    const upgrade = upgradeIn({ postgres: versions });
    const also = upgrade === undefined ? '' : `; a major upgrade of PostgreSQL, ${upgrade.from} to ${upgrade.to}`;
    next(from, `Release of ${version}; ${from.version} is live on ${from.colour}${also}`, versions);
  } else if (baseline === undefined || baseline === version) first(version);
  else {
    first(baseline);
    const artefact = { version: baseline, digest: '', location: '' };
    next(placementOf({ colour: 'blue', artefact }), `Then ${version}, once ${baseline} is live on blue`);
  }
  if (live !== undefined) await printPreconditions(session, live.colour, versions);
  await printEstimate(session);
  return 0;
}

/** Prints what of the live database would stop the release in its preflight. Skipped while another release is unfinished. */
export async function printPreconditions(
  session: CommandSession,
  live: Colour,
  postgres?: PostgresVersions,
): Promise<void> {
  const { definition, terminal } = session;
  if (unfinishedRelease('production', definition) !== undefined) return;
  const say = (text: string) => terminal.print(`\n${text}`);
  try {
    const environment = await connectTo(session, 'production');
    try {
      const unmet = await unmetPreconditions(
        await environment.databases.of(live),
        copiesFiles({ platform: session.platform, postgres }),
      );
      if (unmet.length === 0) say(`The database of ${live}, which is live, can be replicated.`);
      else say([`A release would stop in the preflight: ${live} cannot be replicated.`, ...unmet].join('\n- '));
    } finally {
      await environment.close();
    }
  } catch (error) {
    say(`Whether the database of ${live}, which is live, can be replicated is not known: ${messageOf(error)}`);
  }
}

/** What is live. If a remote platform cannot be reached: undefined, with a line that says so. */
async function readLiveIfPossible(session: CommandSession): Promise<Live | undefined> {
  const { platform, terminal } = session;
  try {
    return await findLiveMeanwhile(session, 'production');
  } catch (error) {
    if (!platform.remote || error instanceof UntrustedState) throw error;
    const why = messageOf(error).split('\n', 1).join();
    terminal.print(`What is live is not known (${why}): this is the plan of a first go-live.\n`);
    return undefined;
  }
}

/** Prints the resources and the costs of both environments, on a platform that bills. */
async function printEstimate({ definition, platform, terminal }: CommandSession): Promise<void> {
  for (const environment of environmentNames) {
    const estimate = await platform.estimate?.(environment, environmentSpec(definition, environment));
    if (estimate !== undefined) terminal.print(`\n${estimate}`);
  }
}
