import { greenlight } from '../../../infra/lib/command.ts';
import { messageOf, OperationError } from '../../../infra/lib/errors.ts';
import { stackKinds, stackName, type EnvironmentName, type Split, type StackKind } from '../../../infra/model.ts';
import { unmetPreconditions } from '../../data/publication/preconditions.ts';
import { pastReleases } from '../../journal/history.ts';
import { unsalvaged } from '../../journal/loss.ts';
import { refuseElsewhere } from '../../stacks/elsewhere.ts';
import type { StackConfig } from '../../stacks/engine.ts';
import type { ReleaseContext } from '../context/context.ts';
import { doubtOf } from '../context/live.ts';
import { copiesFiles, upgradeIn, type Release, type Replacement } from '../context/release.ts';
import { situation } from '../context/situation.ts';
import { StageStopped, type Stage, type Step } from '../context/stage.ts';
import { tryUpgrade } from '../steps/data/try-upgrade.ts';
import { sweep } from '../steps/sweep.ts';
import { followLive } from '../steps/traffic/workers.ts';
import { describeWindow, minutesOpen } from '../steps/window.ts';

const integrationTimeoutMs = 5_000;

interface Check {
  readonly says: string;
  /** Resolves to what is wrong, a sentence each. */
  readonly find: (context: ReleaseContext) => Promise<string[]>;
}

/** Finds what would stop the release before anything is changed, and reports all of it at once. */
export const preflight = (release: Release): Stage => ({
  id: 'preflight',
  title: 'Preflight',
  workMs: 4_000,
  observationMs: 0,

  steps: [
    {
      says: 'look for what would stop the release, before anything is changed',
      includes: checks(release).map(({ says }) => says),
      async do(context) {
        const problems: string[] = [];
        for (const { find } of checks(release)) problems.push(...(await find(context)));
        if (problems.length > 0) throw new StageStopped('no-go', problems.join('\n'));
      },
    },
    { says: 'compare what is live with what is recorded; stop where they disagree', do: refuseDoubt },
    {
      says: `compare the resources of ${used(release).join(' and ')} with what is recorded; repair drift`,
      do: (context) => settleDrift(context, used(release)),
    },
    ...(release.kind === 'release' ? [replicable(release), ...upgradable(release)] : []),
  ],
});

/** After the drift is repaired: until then the database may be down. Checked again before it is published, much later. */
const replicable = (release: Replacement): Step => ({
  says: `see that the database of ${release.from.colour}, which is live, can be replicated`,
  async do(context) {
    const { colour } = release.from;
    const { databases } = await context.connect();
    const unmet = await unmetPreconditions(await databases.of(colour), copiesFiles(release));
    if (unmet.length > 0)
      throw new StageStopped('no-go', unmet.map((what) => `${colour} cannot be replicated: ${what}`).join('\n'));
  },
});

/** A schema that the new version does not take is found long before anything is published. Not where a database takes long to make. */
const upgradable = (release: Replacement): Step[] => {
  const upgrade = upgradeIn(release);
  if (upgrade === undefined || release.platform.idleColour !== 'taken down') return [];
  return [
    {
      says: `see that PostgreSQL ${upgrade.to} takes the schema of ${release.from.colour}, which has ${upgrade.from}`,
      async do(context) {
        const { databases } = await context.connect();
        const found = await context.act('upgradable', `try the schema on PostgreSQL ${upgrade.to}`, async () =>
          tryUpgrade(await databases.of(release.from.colour), await databases.scratch('upgrade')),
        );
        const says = ({ found: what, cure }: (typeof found)[number]): string => `${what}; ${cure}`;
        for (const finding of found.filter(({ severity }) => severity === 'warning'))
          context.note(`PostgreSQL ${upgrade.to}: ${says(finding)}`, 'warning');
        const errors = found.filter(({ severity }) => severity === 'error');
        if (errors.length > 0)
          throw new StageStopped('no-go', errors.map((one) => `PostgreSQL ${upgrade.to}: ${says(one)}`).join('\n'));
      },
    },
  ];
};

/** The environments that a release changes: one of production uses staging first. */
const used = ({ environment }: Release): EnvironmentName[] =>
  environment === 'production' ? ['production', 'staging'] : [environment];

const checks = ({ definition: { window }, environment }: Release): Check[] => [
  { says: 'tools and configuration', find: ({ platform }) => platform.problems() },
  ...(environment === 'production' ? [windowCheck(window)] : []),
  { says: 'a sign of life from the integrations', find: deadIntegrations },
  { says: 'that the database to be emptied has no writes which a rollback has left there', find: leftWrites },
];

/** After a rollback with a stated loss the other database may be the only one that has those writes. */
function leftWrites({ environment, to, discardLost, journal }: ReleaseContext): Promise<string[]> {
  const release = unsalvaged(pastReleases(environment), to.colour);
  if (release === undefined) return Promise.resolve([]);
  if (discardLost === true) {
    journal.append({ type: 'loss.discarded', release });
    return Promise.resolve([]);
  }
  return Promise.resolve([
    `the database of ${to.colour} has writes that the rollback of release ${release} has left there; take what you need ("Going back with a loss" in docs/runbook.md), then: ${greenlight('release', '--discard-lost')}`,
  ]);
}

function windowCheck(window: Release['definition']['window']): Check {
  if (window === undefined)
    return { says: 'no release window is configured: any time', find: () => Promise.resolve([]) };
  const described = describeWindow(window);
  const closed = `the release window is closed (${described}); wait, or change "window" in the release definition`;
  return {
    says: `the release window: ${described}`,
    find: () => Promise.resolve(minutesOpen(window, new Date()) > 0 ? [] : [closed]),
  };
}

/** Stand-ins come up with the foundation; only real ones can be asked now. */
async function deadIntegrations(context: ReleaseContext): Promise<string[]> {
  const { waiting } = context;
  const real = context.spec().integrations.filter((integration) => integration.url !== undefined);
  const answers = await Promise.all(
    real.map(async ({ name, url, health }) => {
      waiting(`integration ${name}`);
      const target = new URL(health, url);
      try {
        const { status } = await fetch(target, { signal: AbortSignal.timeout(integrationTimeoutMs) });
        return status < 500 ? [] : [`integration ${name}: ${target.origin}${target.pathname} answers ${status}`];
      } catch (error) {
        return [`integration ${name}: ${target.origin} does not answer (${messageOf(error)})`];
      }
    }),
  );
  return answers.flat();
}

/**
 * Drift is repaired by applying what is recorded. With a state that is wrong, a lost database would come back empty, and users
 * would get an old version. So that is refused for production. Staging has nothing to lose, if it is this project's.
 */
async function refuseDoubt(context: ReleaseContext): Promise<void> {
  await refuseElsewhere(context.engine, 'staging', 'comparing staging with what is recorded');
  const doubt = context.environment === 'production' ? await doubtOf(context, 'production') : undefined;
  if (doubt !== undefined) throw doubt;
}

/**
 * Compares what is live with what the engine recorded. Drift is shown and then repaired by applying what is recorded: a release
 * must start from a state that both agree on.
 */
async function settleDrift(context: ReleaseContext, environments: EnvironmentName[]): Promise<void> {
  for (const environment of environments) {
    for (const kind of stackKinds) {
      if (await context.engine.exists(environment, kind)) await settleStack(context, environment, kind);
    }
    if (!(await context.engine.exists(environment, 'foundation'))) continue;
    await sweep(context, environment);
    await followLive(await context.connect(environment));
  }
}

async function settleStack(context: ReleaseContext, environment: EnvironmentName, kind: StackKind): Promise<void> {
  const { engine, signal } = context;
  const stack = stackName(environment, kind);
  const drift = await context.act(`refresh-${stack}`, `compare ${stack} with what is live`, () =>
    engine.refresh({ environment, kind, signal }),
  );
  if (drift.length === 0) return;
  context.note(`drift in ${stack}: ${drift.map(({ resource, what }) => `${resource} ${what}`).join('; ')}`, 'warning');
  const recorded = await engine.config(environment, kind);
  if (recorded.kind === 'traffic') await refuseToMoveWrites(context, environment, recorded.split);
  await context.up(environment, withReceivers(context, environment, recorded));
}

/** Addresses of receivers are secrets, and in no record. */
function withReceivers(context: ReleaseContext, environment: EnvironmentName, recorded: StackConfig): StackConfig {
  if (recorded.kind !== 'foundation') return recorded;
  const { alertReceivers } = context.spec(environment);
  return { ...recorded, spec: { ...recorded.spec, alertReceivers } };
}

/** Drift of the weights is repaired, drift of the live colour is not: only a cutover moves writes, as it takes the data along. */
async function refuseToMoveWrites(
  context: ReleaseContext,
  environment: EnvironmentName,
  recorded: Split,
): Promise<void> {
  const { live } = await situation(context, environment);
  if (live === undefined || live === recorded.live) return;
  throw new OperationError(
    `comparing ${environment} with what is recorded`,
    `${live} is live at the balancer, ${recorded.live} by the stack's configuration`,
    'find out who moved it and which colour has the data; see the runbook, "Drift"',
  );
}
