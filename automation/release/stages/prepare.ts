import type { Colour, EnvironmentSpec } from '../../../infra/model.ts';
import { alertsGate } from '../../gates/environment/alerts.ts';
import { testsGate } from '../../gates/tests/tests.ts';
import { syncGate } from '../../gates/data/data.ts';
import { requireBothWays } from '../../data/publication/both-ways.ts';
import { withClient } from '../../data/connect.ts';
import { linkBetween, type Link } from '../../data/link.ts';
import { copySchema } from '../../data/schema.ts';
import { startSync, stopSync, waitForSync } from '../../data/replication/sync.ts';
import { syncFacts } from '../../data/replication/sync-facts.ts';
import type { ReleaseContext } from '../context/context.ts';
import { empty, release, seed } from '../steps/data/establish.ts';
import { guardLive } from '../steps/traffic/guard-live.ts';
import { migrate } from '../steps/data/migrate.ts';
import { environmentSpec } from '../context/spec.ts';
import { untilReady } from '../steps/traffic/ready.ts';
import { testEnvironment } from '../steps/qualification.ts';
import { keepTrafficUp } from '../synthetic/synthetic.ts';
import type { Stage } from '../context/stage.ts';

/** Longest initial copy, ms. */
const syncTimeoutMs = 3_600_000;

/** The inactive colour comes up with a live copy of the data and the new version, and gets no traffic. */
export const prepare: Stage = {
  id: 'prepare',
  title: 'Inactive colour',

  plan: ({ kind, definition, from, to }) => ({
    steps: [
      `bring ${to.colour} up: database, then the version`,
      ...(kind === 'go-live'
        ? ['migrate and seed its empty database']
        : [`replicate from ${from?.colour}, at most ${definition.data.maxLagSeconds} s behind`, 'expand migrations']),
    ],
    gates: {
      ...(kind === 'go-live' ? {} : { sync: 'Replication to the inactive colour' }),
      smoke: 'Smoke tests through the real entry point, by the header route',
      ...(redundantService(environmentSpec(definition, kind === 'rehearsal' ? 'staging' : 'production')) === undefined
        ? {}
        : { alerts: 'A stopped instance raises an alert that reaches a receiver' }),
    },
    workMs: 35_000,
    observationMs: 0,
  }),

  async apply(context) {
    const { environment, to, from } = context;
    await context.up(environment, { kind: 'foundation', spec: context.spec() });
    await context.up(environment, { kind: to.colour, colour: { colour: to.colour } });
    if (from === undefined) {
      await fillEmpty(context);
      return bringUp(context);
    }
    await keepTrafficUp(context);
    // From before the live database is published: that must cost its users nothing.
    const link = await linkOf(context, from.colour);
    await guardLive(context, async (signal) => {
      await replicate(context, link, signal);
      signal.throwIfAborted();
      await bringUp(context);
    });
  },

  async verify(context) {
    const { servers, split } = await (await context.connect()).router.read();
    const down = servers.filter(({ colour, healthy }) => colour === context.to.colour && !healthy);
    if (down.length > 0)
      return `not healthy: ${down.map(({ service, instance }) => `${service}.${instance}`).join(', ')}`;
    return split?.live === context.to.colour ? `${context.to.colour} is live already` : undefined;
  },

  async undo(context) {
    const { environment, to, from } = context;
    const running = await context.connect();
    const { split } = await running.router.read();
    if (split?.live === to.colour) return undefined;
    if (from !== undefined) await stopSync(await linkOf(context, from.colour));
    await release(context, environment, to.colour);
    return `${to.colour} is taken down, nothing replicates to it`;
  },
};

/** The new version, and what is to be shown of it before it gets traffic. */
async function bringUp(context: ReleaseContext): Promise<void> {
  const { environment, to } = context;
  await context.up(environment, { kind: to.colour, colour: { colour: to.colour, artefact: context.artefact() } });
  await refuseTraffic(context);
  await noteCost(context);
  await context.gates(await smokeGates(context));
  // The proof of the alerts stops an instance, and the balancer finds it healthy again some time after it runs.
  await untilReady(context, (await context.connect()).router, to.colour);
}

/** First go-live: the schema and, if the release definition has one, the seed. */
async function fillEmpty(context: ReleaseContext): Promise<void> {
  const { environment, to } = context;
  const running = await context.connect();
  const access = await running.databases.of(to.colour);
  const artefact = context.artefact();
  await empty(context, environment, to.colour, access);
  await migrate(context, 'expand', { access, artefact, where: to.colour, jobs: running.jobs });
  await seed(context, environment, running, access, artefact);
}

/** Schema, initial copy, and everything since; then the additive migrations, with the replication running. */
async function replicate(context: ReleaseContext, link: Link, ended: AbortSignal): Promise<void> {
  const { definition, environment, journal, to } = context;
  const live = link.from.colour;
  const signal = AbortSignal.any([context.signal, ended]);
  const { jobs } = await context.connect();
  await context.act('stop-sync', `end a replication to ${to.colour}`, () => stopSync(link));
  await empty(context, environment, to.colour, link.to.access);
  await context.act('schema', `copy the schema from ${live} to ${to.colour}`, () =>
    copySchema(link.from.access, link.to.access),
  );
  await context.act('sync', `replicate from ${live} to ${to.colour}`, async () => {
    await startSync(link.from, link.to, { signal, onWarning: (text) => context.note(text, 'warning') });
    await waitForSync(link, {
      timeoutMs: syncTimeoutMs,
      signal,
      onProgress: ({ tablesReady, tables, lagBytes, lagMs }) => {
        journal.append({ type: 'sync.progress', direction: 'forward', tablesReady, tables, lagBytes, lagMs });
        context.waiting(`replicating: ${tablesReady} of ${tables} tables, ${lagBytes} bytes behind`);
      },
    });
  });
  await migrate(context, 'expand', { access: link.to.access, artefact: context.artefact(), where: to.colour, jobs });
  await context.act('both-ways', 'see that changes can flow to the migrated database, and back', () =>
    followable(link),
  );
  await context.gates([syncGate({ probe: () => syncFacts(link), maxLagSeconds: definition.data.maxLagSeconds })]);
}

/** A table that has no way back is found now, and not when users are on the new version. */
const followable = ({ from, to }: Link): Promise<unknown> =>
  withClient(from.access, 'admin', (old) =>
    withClient(to.access, 'admin', (migrated) =>
      requireBothWays({ old, new: migrated }, { old: from.colour, new: to.colour }),
    ),
  );

/** The replication from the live colour to the new one. */
async function linkOf(context: ReleaseContext, live: Colour): Promise<Link> {
  const { databases } = await context.connect();
  const { colour } = context.to;
  const [from, to] = await Promise.all([databases.of(live), databases.of(colour)]);
  return linkBetween({ colour: live, access: from }, { colour, access: to });
}

/** From now until the clean-up two colours run: what that costs belongs to the decision how long to bake. */
async function noteCost(context: ReleaseContext): Promise<void> {
  const cost = await context.platform.cost?.(context.environment, context.spec());
  if (cost !== undefined) context.note(cost);
}

/** Registered with the balancer, and no request goes there: read back from the balancer. */
async function refuseTraffic(context: ReleaseContext): Promise<void> {
  const { router } = await context.connect();
  const { colour } = context.to;
  const servers = await untilReady(context, router, colour);
  const { split } = await router.read();
  const live =
    split === undefined ? 'nothing is live yet' : `${split.live} is live with ${100 - split.percent} % of the reads`;
  context.note(`${colour} is registered with ${servers} healthy servers and gets no traffic: ${live}`);
}

/** A service of which one instance can be stopped without anybody noticing: what the proof of alerts needs. */
const redundantService = ({ services }: EnvironmentSpec) => services.find(({ instances }) => instances > 1);

async function smokeGates(context: ReleaseContext) {
  const { definition, to } = context;
  const running = await context.connect();
  const artefact = context.artefact();
  const redundant = redundantService(context.spec());
  return [
    testsGate({
      id: 'smoke',
      title: `Smoke tests of ${artefact.version} on ${to.colour}, through the entry point`,
      jobs: running.jobs,
      artefact,
      command: definition.tests.smoke.command,
      env: testEnvironment(running.router.entry, to.colour),
      timeoutMs: definition.tests.smoke.timeoutSeconds * 1000,
    }),
    ...(redundant === undefined
      ? []
      : [
          alertsGate({
            alerts: running.alerts,
            instances: running.instances,
            instance: `${redundant.name}.${to.colour}.1`,
            onDelivered: (delivery) => context.journal.append({ type: 'alert.delivered', ...delivery }),
          }),
        ]),
  ];
}
