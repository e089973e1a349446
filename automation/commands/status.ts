import { colours, environmentNames, other, type Colour, type EnvironmentName, type Split } from '../../infra/model.ts';
import { greenlight } from '../../infra/lib/command.ts';
import { messageOf } from '../../infra/lib/errors.ts';
import { environmentDirectory } from '../../infra/lib/paths.ts';
import type { Environment } from '../../infra/platform/environment.ts';
import type { InstanceState } from '../../infra/platform/instances.ts';
import { linkBetween } from '../data/link.ts';
import { syncStatus, type SyncStatus } from '../data/replication/sync.ts';
import { connectTo } from '../release/context/context.ts';
import { lastOf } from '../journal/entries.ts';
import { pastReleases } from '../journal/history.ts';
import { readLock } from './lock.ts';
import { doubtOf, readArtefact } from '../release/context/live.ts';
import { lossIn } from '../journal/loss.ts';
import { wayBackGap } from '../journal/way-back.ts';
import { movedInWindow } from '../journal/window.ts';
import { UntrustedState } from '../stacks/state.ts';
import { exitCodes } from '../ui/exit-codes.ts';
import { renderStatus, type ColourStatus, type EnvironmentStatus } from '../ui/status.ts';
import { painter, wantsColour } from '../ui/text.ts';
import { openSession, pullReleases, type CommandOptions, type CommandSession } from './session.ts';

/** `npm run status`: environments, colours, versions, traffic, replication and health. */
export async function status(options: CommandOptions): Promise<number> {
  const session = await openSession(options);
  try {
    const environments = await Promise.all(
      (['production', 'staging'] as const).map((name) => statusOrProblem(session, name)),
    );
    const paint = painter(wantsColour({ isTTY: process.stdout.isTTY, env: process.env }));
    session.terminal.print(renderStatus({ environments }, paint));
    // Exit code 1, so that a script does not rely on a state that disagrees with what runs.
    const doubtful = environments.some(({ doubt }) => doubt !== undefined);
    return doubtful || environments.every(({ problem }) => problem !== undefined) ? exitCodes.problem : exitCodes.go;
  } finally {
    session.close();
  }
}

/** A problem with one environment must not hide the other one. */
async function statusOrProblem(session: CommandSession, name: EnvironmentName): Promise<EnvironmentStatus> {
  try {
    return await statusOf(session, name);
  } catch (error) {
    return { ...(await notUp(session, name)), problem: messageOf(error) };
  }
}

const notUp = async (session: CommandSession, name: EnvironmentName): Promise<EnvironmentStatus> => ({
  name,
  entry: undefined,
  split: undefined,
  colours: [],
  holdMs: 0,
  alerts: [],
  lastRelease: lastReleaseOf(name, await isRunning(session, name)),
  ...wayBackOf(name),
});

/**
 * Whether a command holds the lock of the environment, on this or another machine. An unreadable shared lock counts as
 * free.
 */
async function isRunning({ platform }: CommandSession, name: EnvironmentName): Promise<boolean> {
  if (readLock(environmentDirectory(name)) !== undefined) return true;
  return (await platform.shared?.holder(name).catch(() => undefined)) !== undefined;
}

function lastReleaseOf(name: EnvironmentName, running: boolean): EnvironmentStatus['lastRelease'] {
  const [latest] = pastReleases(name);
  if (latest === undefined) return undefined;
  const { id, started, ended, entries } = latest;
  const back = lastOf(entries, 'rollback.done');
  const verdict = ended?.verdict ?? (running ? 'running' : `not finished (${greenlight('resume')})`);
  return {
    id,
    version: started.to.version,
    verdict,
    endedAt: ended?.at,
    loss: back === undefined ? undefined : lossIn(back),
  };
}

/** Once a release has ended, there is no way back to speak of. */
function wayBackOf(name: EnvironmentName): Pick<EnvironmentStatus, 'gap' | 'movedInWindow'> {
  const [latest] = pastReleases(name);
  if (latest === undefined || latest.ended !== undefined) return {};
  return { gap: wayBackGap(latest.entries), movedInWindow: movedInWindow(latest.entries) };
}

async function statusOf(session: CommandSession, name: EnvironmentName): Promise<EnvironmentStatus> {
  await pullReleases(session, name);
  const doubt = await doubtBetweenReleases(session, name);
  const nothing = { ...(await notUp(session, name)), ...(doubt === undefined ? {} : { doubt }) };
  // With a doubtful state the balancer is asked all the same: it may be reachable without the state.
  if (doubt === undefined && !(await session.engine.exists(name, 'foundation'))) return nothing;
  return lookAt(session, nothing).catch((error: unknown) => {
    if (doubt === undefined) throw error;
    return { ...nothing, problem: messageOf(error) };
  });
}

async function lookAt(session: CommandSession, nothing: EnvironmentStatus): Promise<EnvironmentStatus> {
  const environment = await connectTo(session, nothing.name);
  try {
    const [{ split, holdMs, refuses }, instances, alerts] = await Promise.all([
      environment.router.read(),
      environment.instances.list(),
      environment.alerts.active(),
    ]);
    const rows = await Promise.all(
      colours.map((colour) => colourOf(session, environment, { colour, split, instances })),
    );
    const writes = { holdMs, ...(refuses === undefined ? {} : { refuses }) };
    return { ...nothing, entry: environment.router.entry.baseUrl, split, ...writes, alerts, colours: rows };
  } finally {
    await environment.close();
  }
}

/**
 * How the engine's state and what runs disagree. Not checked while a release runs or is unfinished, because both change
 * then. A release of production uses staging too.
 */
async function doubtBetweenReleases(session: CommandSession, name: EnvironmentName): Promise<string | undefined> {
  const users = name === 'production' ? [name] : environmentNames;
  const open = users.some((user) => pastReleases(user)[0]?.ended === undefined && pastReleases(user).length > 0);
  if (open || (await isRunning(session, name))) return undefined;
  const doubt = await doubtOf(session, name);
  return doubt && `${doubt.found}\n${doubt.todo}`;
}

interface Seen {
  colour: Colour;
  split: Split | undefined;
  instances: InstanceState[];
}

async function colourOf(session: CommandSession, environment: Environment, seen: Seen): Promise<ColourStatus> {
  const { colour, split, instances } = seen;
  const artefact = await readArtefact(session.engine, environment.name, colour).catch((error: unknown) => {
    // Reported as the doubt about the environment.
    if (error instanceof UntrustedState) return undefined;
    throw error;
  });
  const [database, mine] = [
    instances.find(({ id }) => id === `database.${colour}`),
    instances.filter(({ id }) => id.includes(`.${colour}.`)),
  ];
  const following = await replicationTo(environment, colour, instances);
  const weight = split === undefined ? 0 : split.live === colour ? 100 - split.percent : split.percent;
  return {
    colour,
    version: artefact?.version,
    role: split?.live === colour ? 'live' : weight > 0 ? 'canary' : 'idle',
    weightPercent: weight,
    instances: { up: mine.filter(({ state }) => state === 'running').length, total: mine.length },
    database: following === undefined ? (database?.state ?? 'none') : `${following.state} from ${other(colour)}`,
    lagBytes: following?.lagBytes,
    lagMs: following?.lagMs,
  };
}

/** The replication into `colour`; undefined if there is none, or if a database is not up. */
async function replicationTo(
  { databases }: Environment,
  colour: Colour,
  instances: InstanceState[],
): Promise<SyncStatus | undefined> {
  const up = colours.every((one) => instances.some(({ id, state }) => id === `database.${one}` && state === 'running'));
  if (!up) return undefined;
  const [from, to] = await Promise.all([databases.of(other(colour)), databases.of(colour)]);
  const found = await syncStatus(linkBetween({ colour: other(colour), access: from }, { colour, access: to }));
  return found.state === 'none' ? undefined : found;
}
