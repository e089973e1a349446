import type { CloneOptions } from '../../../../infra/platform/databases.ts';
import { requireBothWays } from '../../../data/publication/both-ways.ts';
import { withClient } from '../../../data/connect.ts';
import type { Link } from '../../../data/link.ts';
import { beginSchema } from '../../../data/copying/schema.ts';
import { analyse } from '../../../data/copying/statistics.ts';
import { recordExpanded } from '../../../data/replication/schema-record.ts';
import { followSync, startSync, startSyncByClone, stopSync, waitForSync } from '../../../data/replication/sync.ts';
import { syncFacts } from '../../../data/replication/sync-facts.ts';
import { syncGate } from '../../../gates/data/data.ts';
import { formatBytes, formatDuration } from '../../../journal/format.ts';
import type { ReleaseContext } from '../../context/context.ts';
import { copiesFiles, readOnlyWindowOf, upgradeIn, type Replacement } from '../../context/release.ts';
import type { Step } from '../../context/stage.ts';
import { linkOf } from '../traffic/link.ts';
import { empty, requireIdle } from './empty.ts';
import { afterExpand, keepBeforeEmptying } from './kept.ts';
import { foretellLoosened } from '../traffic/loosened.ts';
import { migrate } from './migrate.ts';

/**
 * The data of the live colour, the additive migrations, and everything since. The signal ends it. Where the platform can copy a whole
 * cluster, the migrations run before the replication starts: a long lock of theirs then keeps nothing waiting.
 */
export const replicating = (release: Replacement): Step<AbortSignal>[] =>
  copiesFiles(release)
    ? [
        copyCluster(release),
        expand(release, 'before the replication starts'),
        bothWays(release),
        follow(release),
        behind(release),
      ]
    : [
        copyRows(release),
        expand(release, 'with the replication running'),
        bothWays(release),
        statistics(release),
        behind(release),
      ];

const link = (context: ReleaseContext, { from, to }: Replacement): Promise<Link> =>
  linkOf(context, from.colour, to.colour);

const copyCluster = (release: Replacement): Step<AbortSignal> => ({
  says: `publish ${release.from.colour}, and make ${release.to.colour} a physical copy of its whole database cluster`,
  do: async (context, ended) => copyByFiles(context, await link(context, release), ended),
});

const follow = (release: Replacement): Step<AbortSignal> => ({
  says: `replicate what ${release.from.colour} has written since the copy, and all that it writes`,
  do: async (context, ended) => {
    const both = await link(context, release);
    await followFiles(context, both, ended);
  },
});

const copyRows = (release: Replacement): Step<AbortSignal> => ({
  says: `${upgrading(release)}copy the schema from ${release.from.colour} to ${release.to.colour}, then the rows, then make keys and indexes; and replicate all changes`,
  do: async (context, ended) => copyByRows(context, await link(context, release), ended),
});

const upgrading = (release: Replacement): string => {
  const upgrade = upgradeIn(release);
  return upgrade === undefined ? '' : `major upgrade of PostgreSQL, ${upgrade.from} to ${upgrade.to}, so by rows: `;
};

const statistics = (release: Replacement): Step<AbortSignal> => ({
  says: `compute the planner's statistics on ${release.to.colour}, before it gets traffic`,
  async do(context, ended) {
    const { access } = (await link(context, release)).to;
    await context.act('statistics', `compute the planner's statistics on ${release.to.colour}`, () => analyse(access));
    ended.throwIfAborted();
  },
});

const expand = (release: Replacement, when: string): Step<AbortSignal> => ({
  says: `expand migrations of ${release.to.version} on ${release.to.colour}, ${when}; bring back what an earlier try had left`,
  async do(context) {
    const { jobs } = await context.connect();
    const { access, colour } = (await link(context, release)).to;
    await migrate(context, 'expand', { access, artefact: context.artefact(), where: colour, jobs });
    await withClient(access, 'admin', recordExpanded);
    await afterExpand(context, colour);
  },
});

/** With a read-only window nothing goes back, and so nothing is loosened on the old side. */
const bothWays = (release: Replacement): Step<AbortSignal> => {
  const goesBack = readOnlyWindowOf(release) === undefined;
  const seen = 'see that changes can flow to the migrated database, and back';
  return {
    says: goesBack
      ? `${seen}; what the migrations loosen, ${release.from.colour} gets too once ${release.to.colour} is live`
      : 'see that changes can flow to the migrated database',
    do: async (context) => {
      const both = await link(context, release);
      await context.act('both-ways', seen, () => followable(both));
      if (goesBack) await foretellLoosened(context, both);
    },
  };
};

const behind = (release: Replacement): Step<AbortSignal> => ({
  says: `see that ${release.to.colour} is at most ${release.definition.data.maxLagSeconds} s behind`,
  gates: { sync: 'Replication to the inactive colour' },
  async do(context, ended) {
    const both = await link(context, release);
    const { maxLagSeconds } = release.definition.data;
    await context.gates([syncGate({ probe: () => syncFacts(both), maxLagSeconds })]);
    ended.throwIfAborted();
  },
});

/** Makes `link.to` a physical copy of `link.from`, with a disabled subscription. Refuses a database that must not be replaced. */
export async function copyByFiles(context: ReleaseContext, link: Link, ended: AbortSignal): Promise<void> {
  const { environment } = context;
  const { from, to } = link;
  const { databases } = await context.connect();
  if (databases.clone === undefined) throw new Error('the platform says that it copies clusters, and cannot');
  const copy = databases.clone.bind(databases);
  await keepBeforeEmptying(context, environment, to.colour);
  const signal = AbortSignal.any([context.signal, ended]);
  await context.act('stop-sync', `end a replication to ${to.colour}`, () => stopSync(link));
  const options: Omit<CloneOptions, 'cutOff'> = {
    mayReplace: () => requireIdle(context, environment, to),
    onProgress: progressOf((text) => context.waiting(`copying ${from.colour} to ${to.colour}: ${text}`)),
    signal,
  };
  await context.act('clone', `make ${to.colour} a physical copy of ${from.colour}`, () =>
    startSyncByClone(from, to, (cutOff) => copy(from.colour, to.colour, { ...options, cutOff }), {
      signal,
      onWarning: (text) => context.note(text, 'warning'),
    }),
  );
}

/** Replicates to the copy of `copyByFiles`, and waits until it has everything. */
export const followFiles = (context: ReleaseContext, link: Link, ended: AbortSignal): Promise<void> =>
  context.act('sync', `replicate from ${link.from.colour} to ${link.to.colour}`, async () => {
    await followSync(link);
    await untilSynced(context, link, ended);
  });

/** Says how much is copied, and how long the rest takes at the average speed so far. */
function progressOf(say: (text: string) => void): NonNullable<CloneOptions['onProgress']> {
  const started = performance.now();
  return ({ bytes, totalBytes }) => {
    const leftMs = (totalBytes / Math.max(1, bytes) - 1) * (performance.now() - started);
    const left = bytes === 0 ? '' : `, about ${formatDuration(Math.max(0, leftMs))} left`;
    say(`${formatBytes(bytes)} of ${formatBytes(totalBytes)}${left}`);
  };
}

/** Empties `link.to`, copies schema and rows of `link.from`, and replicates. Refuses a database that must not be emptied. */
export async function copyByRows(context: ReleaseContext, link: Link, ended: AbortSignal): Promise<void> {
  const { environment } = context;
  const { from, to } = link;
  const signal = AbortSignal.any([context.signal, ended]);
  const onWarning = (text: string): void => context.note(text, 'warning');
  await keepBeforeEmptying(context, environment, to.colour);
  await context.act('stop-sync', `end a replication to ${to.colour}`, () => stopSync(link));
  await empty(context, environment, to.colour, to.access, { like: from.access });
  const rest = await context.act('schema', `copy the schema from ${from.colour} to ${to.colour}`, () =>
    beginSchema(from.access, to.access, { onWarning }),
  );
  try {
    await context.act('sync', `copy the rows of ${from.colour} to ${to.colour}, and replicate`, async () => {
      await startSync(from, to, {
        signal,
        onWarning,
        onProgress: progressOf((text) => context.waiting(`copying ${from.colour} to ${to.colour}: ${text}`)),
        afterRows: (until) => {
          context.waiting(`making the keys, indexes and constraints of ${to.colour}`);
          return rest.finish(until);
        },
      });
      await untilSynced(context, link, ended);
    });
  } finally {
    await rest.dispose();
  }
}

const untilSynced = (context: ReleaseContext, link: Link, ended: AbortSignal): Promise<unknown> =>
  waitForSync(link, {
    timeoutMs: context.definition.data.limits.copySeconds * 1000,
    signal: AbortSignal.any([context.signal, ended]),
    onProgress: ({ tablesReady, tables, lagBytes, lagMs }) => {
      const direction = link.to.colour === context.to.colour ? 'forward' : 'reverse';
      context.journal.append({ type: 'sync.progress', direction, tablesReady, tables, lagBytes, lagMs });
      context.waiting(`replicating: ${tablesReady} of ${tables} tables, ${formatBytes(lagBytes)} behind`);
    },
  });

/** A table that has no way back is found now, and not when users are on the new version. */
const followable = ({ from, to }: Link): Promise<unknown> =>
  withClient(from.access, 'admin', (old) =>
    withClient(to.access, 'admin', (migrated) =>
      requireBothWays({ old, new: migrated }, { old: from.colour, new: to.colour }),
    ),
  );
