import { colours, type Colour, type EnvironmentName } from '../../infra/model.ts';
import { greenlight } from '../../infra/lib/command.ts';
import { OperationError } from '../../infra/lib/errors.ts';
import type { ApplicationSecrets } from '../../infra/platform/secrets.ts';
import { pastReleases } from '../journal/history.ts';
import type { Engine } from '../stacks/engine.ts';
import { liveColour } from './context/live.ts';
import { pruneSecrets, versionsOn } from './context/keep-secrets.ts';
import { describeSource, readSecrets, readSource, sourcesOf } from './context/secret-sources.ts';
import type { Session } from './start.ts';

/** One secret of an environment, beside what runs. */
export interface SecretState {
  name: string;
  source: string;
  /** What the live colour runs with, compared with the source. */
  running: 'current' | 'an older value' | 'nothing yet' | { problem: string };
}

/** The secrets of an environment: where each comes from, and whether the live colour runs with the value that is there. */
export async function secretStates(session: Session, environment: EnvironmentName): Promise<SecretState[]> {
  const kept = keptBy(session);
  const live = await liveColour(session.engine, environment);
  const versions = (live && (await versionsOn(session.engine, environment, live))) ?? {};
  const sources = Object.entries(sourcesOf(session.definition, environment));
  return Promise.all(
    sources.map(async ([name, source]) => {
      const of = { name, source: describeSource(source) };
      const read = await readSource(source);
      if ('problem' in read) return { ...of, running: read };
      if (versions[name] === undefined) return { ...of, running: 'nothing yet' };
      const version = await kept.versionOf(environment, read.value);
      return { ...of, running: version === versions[name] ? 'current' : 'an older value' };
    }),
  );
}

/**
 * Reads the secrets of the application again, and restarts what runs with an older value: the live colour first, one instance at a time,
 * each of which the balancer has to find healthy before the next. Resolves to the names that changed. Where an instance does not come up
 * with a new value, all get the old ones again, and this rejects. The caller holds the locks of both environments.
 */
export async function rotateSecrets(session: Session, environment: EnvironmentName): Promise<string[]> {
  const { engine, waiting, signal } = session;
  const kept = keptBy(session);
  refuseUnfinished(session);
  const values = (await readSecrets(session.definition, [environment])).get(environment) ?? {};
  if (Object.keys({ ...values, ...(await kept.current(environment)) }).length === 0) return [];
  const live = await liveColour(engine, environment);
  const running = await colourVersions(engine, environment, live);
  const wanted = await versionsOf(kept, environment, values);
  const changed = Object.keys(wanted).filter((name) =>
    running.some(({ versions }) => versions[name] !== undefined && versions[name] !== wanted[name]),
  );
  if (changed.length > 0) await refuseSingle(session, environment);
  const before = await kept.values(environment).catch(() => undefined);
  await kept.keep(environment, values);
  const apply = async (colour: Colour, secrets: Record<string, string>) => {
    const config = await engine.config(environment, colour);
    if (!('colour' in config)) return;
    waiting(`restarting ${colour} of ${environment} with the new secrets, one instance at a time`);
    await engine.up({ environment, kind: colour, colour: { ...config.colour, secrets }, oneByOne: true, signal });
  };
  const done: typeof running = [];
  try {
    for (const one of running.filter(({ versions }) => changed.some((name) => versions[name] !== undefined))) {
      done.unshift(one);
      await apply(one.colour, { ...one.versions, ...wanted });
    }
  } catch (error) {
    signal.throwIfAborted();
    if (before !== undefined) await kept.keep(environment, before);
    for (const { colour, versions } of done) {
      // An update that failed is in no record: by the state alone there would be nothing to do.
      await engine.refresh({ environment, kind: colour, signal });
      await apply(colour, versions);
    }
    throw new OperationError(
      `rotating the secrets of ${environment}`,
      `an instance did not come up with the new values of ${changed.join(', ')}; all run with the old ones again: ${(error as Error).message}`,
      `correct the value at its source, then: ${greenlight('secrets', '--rotate')}`,
      { cause: error },
    );
  }
  await pruneSecrets(session, environment);
  return changed;
}

/** The colours that have processes, the live one first, and what they run with. */
async function colourVersions(engine: Engine, environment: EnvironmentName, live: Colour | undefined) {
  const order = [...colours].sort((a, b) => Number(b === live) - Number(a === live));
  const all = await Promise.all(
    order.map(async (colour) => ({ colour, versions: await versionsOn(engine, environment, colour) })),
  );
  return all.flatMap(({ colour, versions }) => (versions === undefined ? [] : [{ colour, versions }]));
}

async function versionsOf(
  kept: ApplicationSecrets,
  environment: EnvironmentName,
  values: Record<string, string>,
): Promise<Record<string, string>> {
  const entries = Object.entries(values).map(
    async ([name, value]) => [name, await kept.versionOf(environment, value)] as const,
  );
  return Object.fromEntries(await Promise.all(entries));
}

function keptBy({ platform }: Session): ApplicationSecrets {
  if (platform.secrets !== undefined) return platform.secrets;
  const todo = 'let the application read them itself, from Secrets Manager';
  throw new OperationError('reading the secrets', `the platform ${platform.name} keeps none of the application`, todo);
}

/** A release of production uses staging too. */
function refuseUnfinished({ platform }: Session): void {
  for (const environment of ['production', 'staging'] as const) {
    const [latest] = pastReleases(environment);
    if (latest === undefined || latest.ended !== undefined || latest.started.platform !== platform.name) continue;
    throw new OperationError(
      'rotating the secrets',
      `release ${latest.id} is not finished`,
      `finish it: ${greenlight('resume')}; or go back: ${greenlight('rollback')}`,
    );
  }
}

/** Users would notice the restart of an only instance. */
async function refuseSingle({ engine }: Session, environment: EnvironmentName): Promise<void> {
  if (environment !== 'production' || (await liveColour(engine, environment)) === undefined) return;
  const config = await engine.config(environment, 'foundation');
  const single = config.kind === 'foundation' ? config.spec.services.find(({ instances }) => instances < 2) : undefined;
  if (single === undefined) return;
  throw new OperationError(
    `rotating the secrets of ${environment}`,
    `${single.name} has one instance, so its requests would fail while it restarts`,
    `release instead: ${greenlight('release')} brings the new values without a failed request; or give it two instances`,
  );
}
