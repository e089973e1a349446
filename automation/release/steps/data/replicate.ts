import { requireBothWays } from '../../../data/publication/both-ways.ts';
import { withClient } from '../../../data/connect.ts';
import type { Link } from '../../../data/link.ts';
import { copySchema } from '../../../data/schema.ts';
import { startSync, stopSync, waitForSync } from '../../../data/replication/sync.ts';
import { syncFacts } from '../../../data/replication/sync-facts.ts';
import { syncGate } from '../../../gates/data/data.ts';
import type { ReleaseContext } from '../../context/context.ts';
import type { Replacement } from '../../context/release.ts';
import type { Step } from '../../context/stage.ts';
import { linkOf } from '../traffic/link.ts';
import { empty } from './empty.ts';
import { migrate } from './migrate.ts';

/** Longest initial copy, ms. */
const syncTimeoutMs = 3_600_000;

/** Schema, initial copy, and everything since; then the additive migrations, with the replication running. The signal ends it. */
export function replicating({ definition, from, to }: Replacement): Step<AbortSignal>[] {
  const link = (context: ReleaseContext) => linkOf(context, from.colour, to.colour);
  return [
    {
      says: `copy the schema from ${from.colour} to ${to.colour}, and replicate all data`,
      do: async (context, ended) => replicate(context, await link(context), ended),
    },
    {
      says: `expand migrations of ${to.version} on ${to.colour}, with the replication running`,
      async do(context) {
        const { jobs } = await context.connect();
        const { access } = (await link(context)).to;
        await migrate(context, 'expand', { access, artefact: context.artefact(), where: to.colour, jobs });
      },
    },
    {
      says: 'see that changes can flow to the migrated database, and back',
      do: async (context) => {
        const both = await link(context);
        await context.act('both-ways', 'see that changes can flow to the migrated database, and back', () =>
          followable(both),
        );
      },
    },
    {
      says: `see that ${to.colour} is at most ${definition.data.maxLagSeconds} s behind`,
      gates: { sync: 'Replication to the inactive colour' },
      async do(context, ended) {
        const both = await link(context);
        await context.gates([syncGate({ probe: () => syncFacts(both), maxLagSeconds: definition.data.maxLagSeconds })]);
        ended.throwIfAborted();
      },
    },
  ];
}

async function replicate(context: ReleaseContext, link: Link, ended: AbortSignal): Promise<void> {
  const { environment, journal } = context;
  const { from, to } = link;
  const signal = AbortSignal.any([context.signal, ended]);
  await context.act('stop-sync', `end a replication to ${to.colour}`, () => stopSync(link));
  await empty(context, environment, to.colour, to.access);
  await context.act('schema', `copy the schema from ${from.colour} to ${to.colour}`, () =>
    copySchema(from.access, to.access),
  );
  await context.act('sync', `replicate from ${from.colour} to ${to.colour}`, async () => {
    await startSync(from, to, { signal, onWarning: (text) => context.note(text, 'warning') });
    await waitForSync(link, {
      timeoutMs: syncTimeoutMs,
      signal,
      onProgress: ({ tablesReady, tables, lagBytes, lagMs }) => {
        journal.append({ type: 'sync.progress', direction: 'forward', tablesReady, tables, lagBytes, lagMs });
        context.waiting(`replicating: ${tablesReady} of ${tables} tables, ${lagBytes} bytes behind`);
      },
    });
  });
}

/** A table that has no way back is found now, and not when users are on the new version. */
const followable = ({ from, to }: Link): Promise<unknown> =>
  withClient(from.access, 'admin', (old) =>
    withClient(to.access, 'admin', (migrated) =>
      requireBothWays({ old, new: migrated }, { old: from.colour, new: to.colour }),
    ),
  );
