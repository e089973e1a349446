import { colours, type Artefact, type Colour, type EnvironmentName, type StackKind } from '../../../infra/model.ts';
import type { Found, Platform } from '../../../infra/platform/platform.ts';
import type { ReleaseDefinition } from '../../config/schema.ts';
import { recordedElsewhere } from '../../stacks/elsewhere.ts';
import type { Engine } from '../../stacks/engine.ts';
import { UntrustedState } from '../../stacks/state.ts';
import { describeFound, disagreements, sayBoth, type Record } from './agreement.ts';
import { unfinishedRelease } from '../../journal/history.ts';
import { environmentSpec } from './spec.ts';

/** What is on a colour, as the engine recorded it. */
export interface Deployed {
  colour: Colour;
  artefact: Artefact | undefined;
}

export interface Live extends Deployed {
  artefact: Artefact;
}

/**
 * What is live on an environment by the engine's record; undefined before its first go-live. Rejects with an `UntrustedState` where
 * the record is damaged, or knows who is live and not what runs there: that is never a first go-live.
 */
export async function readLive(engine: Engine, environment: EnvironmentName): Promise<Live | undefined> {
  const live = await liveColour(engine, environment);
  if (live === undefined) return undefined;
  const artefact = await readArtefact(engine, environment, live);
  if (artefact !== undefined) return { colour: live, artefact };
  throw new UntrustedState(
    `reading what is live on ${environment}`,
    `${live} is live by the stack ${environment}-traffic, and the record of ${environment}-${live} names no version`,
    `nothing was changed. Put the record of ${environment}-${live} back from the history: "The state of a stack is damaged" in docs/runbook.md`,
  );
}

type Seen = { engine: Engine; platform: Platform; definition: ReleaseDefinition };

/**
 * What is live on an environment, by the engine's state and by what runs. Rejects with an `UntrustedState` that lists both where
 * they disagree: a release that is planned by a lost or old state harms what serves users.
 */
export async function findLive(session: Seen, environment: EnvironmentName): Promise<Live | undefined> {
  const doubt = await doubtOf(session, environment);
  if (doubt !== undefined) throw doubt;
  return readLive(session.engine, environment);
}

/** As `findLive`, but by the state alone while a release runs or is unfinished: state and facts both change then. */
export const findLiveMeanwhile = (session: Seen, environment: EnvironmentName): Promise<Live | undefined> =>
  unfinishedRelease(environment, session.definition) === undefined
    ? findLive(session, environment)
    : readLive(session.engine, environment);

/** How record and platform disagree; undefined where they do not. */
export async function doubtOf(session: Seen, environment: EnvironmentName): Promise<UntrustedState | undefined> {
  const record = await readRecord(session.engine, environment).catch((error: unknown) => {
    if (error instanceof UntrustedState) return error;
    throw error;
  });
  const found = await lookFor(session, environment);
  if (record instanceof UntrustedState)
    return new UntrustedState(record.doing, `${record.found}\n${describeFound(found)}`, record.todo);
  const seen =
    found.live === undefined && record.live !== undefined ? await askBalancer(session, environment, found) : found;
  const differences = disagreements(record, seen);
  return differences.length === 0 ? undefined : sayBoth({ environment, differences, record, found: seen, ...session });
}

/** Some platforms find the balancer by the state alone; it still says itself who is live. If it does not answer, that is no disagreement. */
async function askBalancer(
  { engine, platform, definition }: Seen,
  environment: EnvironmentName,
  found: Found,
): Promise<Found> {
  try {
    const outputs = (kind: StackKind) => engine.outputs(environment, kind);
    const running = await platform.connect(environment, environmentSpec(definition, environment), outputs);
    const { split } = await running.router.read().finally(() => running.close());
    if (split === undefined) return found;
    return { ...found, live: split.live, facts: [...found.facts, `the balancer sends writes to ${split.live}`] };
  } catch {
    return found;
  }
}

export const lookFor = ({ platform, definition }: Omit<Seen, 'engine'>, environment: EnvironmentName): Promise<Found> =>
  platform.found(environment, environmentSpec(definition, environment));

async function readRecord(engine: Engine, environment: EnvironmentName): Promise<Record> {
  const foundation = await engine.exists(environment, 'foundation');
  const live = await liveColour(engine, environment);
  const record: Record = { foundation, live, elsewhere: await recordedElsewhere(engine, environment), colours: {} };
  for (const colour of colours) {
    if (!(await engine.exists(environment, colour))) continue;
    const { artefact } = (await engine.outputs(environment, colour)) as { artefact?: Artefact };
    record.colours[colour] = { version: artefact?.version };
  }
  return record;
}

/** Who is live by the engine's record; undefined before the first go-live. */
export async function liveColour(engine: Engine, environment: EnvironmentName): Promise<Colour | undefined> {
  if (!(await engine.exists(environment, 'traffic'))) return undefined;
  const traffic = await engine.config(environment, 'traffic');
  return traffic.kind === 'traffic' ? traffic.split.live : undefined;
}

/** The same artefact, at its place on this machine: another one may have recorded it. */
export const located = async ({ artefacts }: Platform, artefact: Artefact): Promise<Artefact> =>
  (await artefacts.find(artefact.digest)) ?? artefact;

/** The artefact that runs on a colour; undefined where the colour is not up, or has its database alone. */
export async function readArtefact(
  engine: Engine,
  environment: EnvironmentName,
  colour: Colour,
): Promise<Artefact | undefined> {
  if (!(await engine.exists(environment, colour))) return undefined;
  const config = await engine.config(environment, colour);
  return config.kind === 'blue' || config.kind === 'green' ? config.colour.artefact : undefined;
}
