import { stopSync } from '../../data/replication/sync.ts';
import type { EnvironmentName } from '../../../infra/model.ts';
import { environmentSpec } from '../context/spec.ts';
import { provide, type ReleaseContext } from '../context/context.ts';
import { readOnlyWindowOf, type FirstGoLive, type Release, type Replacement } from '../context/release.ts';
import { situation } from '../context/situation.ts';
import { during, type Stage, type Step } from '../context/stage.ts';
import { databaseUp } from '../steps/data/database-up.ts';
import { empty, stopButKeep, takeDown } from '../steps/data/empty.ts';
import { seed } from '../steps/data/establish.ts';
import { migrateAtOnce } from '../steps/data/migrate.ts';
import { replicating } from '../steps/data/replicate.ts';
import { alertsGates, alertsTitle, redundantService, smokeGate, smokeTitle } from '../steps/smoke.ts';
import { guardLive, guarding } from '../steps/traffic/guard-live.ts';
import { linkOf } from '../steps/traffic/link.ts';
import { lossAccepted } from '../steps/traffic/record-rollback.ts';
import { untilReady } from '../steps/traffic/ready.ts';
import { keepTrafficUp } from '../synthetic/synthetic.ts';

/** The inactive colour comes up with a live copy of the data and the new version, and gets no traffic. With a read-only window that version starts in it. */
export const prepare = (release: Replacement): Stage => ({
  ...shape(release),
  steps: [
    ...up(release),
    { says: 'keep marked traffic up, where the definition asks for it', do: keepTrafficUp },
    // From before the live database is published: that must cost its users nothing.
    during<AbortSignal>(
      { says: guarding(release.from.colour) },
      (context, work) => guardLive(context, release.from.colour, work),
      [...replicating(release), ...(readOnlyWindowOf(release) === undefined ? versionUp(release) : readied(release))],
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

const shape = (release: Release): Omit<Stage, 'steps'> => ({
  id: 'prepare',
  title: 'Inactive colour',
  workMs: 35_000,
  observationMs: 0,

  async verify(context) {
    const { to } = release;
    const { servers, live } = await situation(context);
    const expected = readOnlyWindowOf(release) === undefined ? servers : [];
    const down = expected.filter(({ colour, healthy }) => colour === to.colour && !healthy);
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
    gates: { smoke: smokeTitle(definition), ...(sparesOne(definition, environment) ? { alerts: alertsTitle } : {}) },
    async do(context) {
      await context.gates([await smokeGate(context), ...(await alertsGates(context))]);
      // The proof of the alerts stops an instance, and the balancer finds it healthy again some time after it runs.
      await untilReady(context, (await context.connect()).router, to.colour);
    },
  },
];

const sparesOne = (definition: Release['definition'], environment: EnvironmentName): boolean =>
  redundantService(environmentSpec(definition, environment)) !== undefined;

/**
 * For a read-only window, in which the new version starts: it has to meet no schema but its own. All of the start that takes no schema
 * is done before. The alerts are proven with the version that is live, as the proof stops an instance, which users must not feel.
 */
const readied = ({ definition, environment, from, to }: Replacement): Step[] => [
  {
    says: `make ${to.version} ready to run on ${to.colour}; it starts in the read-only window, and is tried there`,
    async do(context) {
      await provide(context, environment, context.artefact());
      await noteCost(context);
    },
  },
  ...(sparesOne(definition, environment)
    ? [
        {
          says: `start ${from.version} on ${to.colour}, to which no traffic goes, prove the alerts there, stop it again`,
          gates: { alerts: alertsTitle },
          async do(context: ReleaseContext) {
            const { artefact } = from;
            await context.up(environment, { kind: to.colour, colour: { colour: to.colour, artefact } });
            await untilReady(context, (await context.connect()).router, to.colour);
            await context.gates(await alertsGates(context));
            await context.up(environment, { kind: to.colour, colour: { colour: to.colour } });
          },
        },
      ]
    : []),
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
