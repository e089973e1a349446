import { stopSync } from '../../data/replication/sync.ts';
import { environmentSpec } from '../context/spec.ts';
import type { ReleaseContext } from '../context/context.ts';
import type { FirstGoLive, Release, Replacement } from '../context/release.ts';
import { situation } from '../context/situation.ts';
import { during, type Stage, type Step } from '../context/stage.ts';
import { databaseUp } from '../steps/data/database-up.ts';
import { empty, stopButKeep, takeDown } from '../steps/data/empty.ts';
import { seed } from '../steps/data/establish.ts';
import { migrateAtOnce } from '../steps/data/migrate.ts';
import { replicating } from '../steps/data/replicate.ts';
import { redundantService, smokeGates } from '../steps/smoke.ts';
import { guardLive, guarding } from '../steps/traffic/guard-live.ts';
import { linkOf } from '../steps/traffic/link.ts';
import { lossAccepted } from '../steps/traffic/record-rollback.ts';
import { untilReady } from '../steps/traffic/ready.ts';
import { keepTrafficUp } from '../synthetic/synthetic.ts';

/** The inactive colour comes up with a live copy of the data and the new version, and gets no traffic. */
export const prepare = (release: Replacement): Stage => ({
  ...shape(release),
  steps: [
    ...up(release),
    { says: 'keep marked traffic up, where the definition asks for it', do: keepTrafficUp },
    // From before the live database is published: that must cost its users nothing.
    during<AbortSignal>(
      { says: guarding(release.from.colour) },
      (context, work) => guardLive(context, release.from.colour, work),
      [...replicating(release), ...versionUp(release)],
    ),
  ],

  async undo(context) {
    const { from, to } = release;
    if ((await situation(context)).live === to.colour) return undefined;
    await stopSync(await linkOf(context, from.colour, to.colour));
    if (lossAccepted(context.journal.entries())) {
      await stopButKeep(context, context.environment, to.colour);
      return `${to.colour} serves nobody, and its database is left as it is`;
    }
    await takeDown(context, context.environment, to.colour);
    return `${to.colour} is taken down, nothing replicates to it`;
  },
});

/** The same with a database of its own: there is nothing to copy. */
export const prepareFirst = (release: FirstGoLive): Stage => ({
  ...shape(release),
  steps: [
    ...up(release),
    { says: 'empty its database, migrate it, and seed it where the definition has a seed', do: fillEmpty },
    ...versionUp(release),
  ],

  async undo(context) {
    const { to } = release;
    if ((await situation(context)).live === to.colour) return undefined;
    await takeDown(context, context.environment, to.colour);
    return `${to.colour} is taken down`;
  },
});

const shape = ({ to }: Release): Omit<Stage, 'steps'> => ({
  id: 'prepare',
  title: 'Inactive colour',
  workMs: 35_000,
  observationMs: 0,

  async verify(context) {
    const { servers, live } = await situation(context);
    const down = servers.filter(({ colour, healthy }) => colour === to.colour && !healthy);
    if (down.length > 0)
      return `not healthy: ${down.map(({ service, instance }) => `${service}.${instance}`).join(', ')}`;
    return live === to.colour ? `${to.colour} is live already` : undefined;
  },
});

const up = ({ environment, to, ...release }: Release, postgres = release.from && release.postgres?.to): Step[] => [
  {
    says: `bring the foundation of ${environment} up`,
    do: (context) => context.up(environment, { kind: 'foundation', spec: context.spec() }),
  },
  {
    says: `bring the database of ${to.colour} up`,
    do: (context) => databaseUp(context, environment, to.colour, postgres),
  },
];

/** The new version, and what is to be shown of it before it gets traffic. */
const versionUp = ({ definition, environment, to }: Release): Step[] => [
  {
    says: `start ${to.version} on ${to.colour}, to which no traffic goes`,
    async do(context) {
      await context.up(environment, { kind: to.colour, colour: { colour: to.colour, artefact: context.artefact() } });
      await noteReady(context);
      await noteCost(context);
    },
  },
  {
    says: `try ${to.version} there through the real entry point`,
    gates: {
      smoke: 'Smoke tests through the real entry point, by the header route',
      ...(redundantService(environmentSpec(definition, environment)) === undefined
        ? {}
        : { alerts: 'A stopped instance raises an alert that reaches a receiver' }),
    },
    async do(context) {
      await context.gates(await smokeGates(context));
      // The proof of the alerts stops an instance, and the balancer finds it healthy again some time after it runs.
      await untilReady(context, (await context.connect()).router, to.colour);
    },
  },
];

/** First go-live: the schema and, if the release definition has one, the seed. */
async function fillEmpty(context: ReleaseContext): Promise<void> {
  const { environment, to } = context;
  const running = await context.connect();
  const access = await running.databases.of(to.colour);
  const artefact = context.artefact();
  await empty(context, environment, to.colour, access);
  await migrateAtOnce(context, { access, artefact, where: to.colour, jobs: running.jobs });
  await seed(context, environment, running, access, artefact);
}

/** From now until the clean-up two colours run. What that costs matters for how long to bake. */
async function noteCost(context: ReleaseContext): Promise<void> {
  const cost = await context.platform.cost?.(context.environment, context.spec());
  if (cost !== undefined) context.note(cost);
}

/** The colour is registered with the balancer, and no request goes there: read back from the balancer. */
async function noteReady(context: ReleaseContext): Promise<void> {
  const { colour } = context.to;
  const servers = await untilReady(context, (await context.connect()).router, colour);
  const { split } = await situation(context);
  const live =
    split === undefined ? 'nothing is live yet' : `${split.live} is live with ${100 - split.percent} % of the reads`;
  context.note(`${colour} is registered with ${servers} healthy servers and gets no traffic: ${live}`);
}
