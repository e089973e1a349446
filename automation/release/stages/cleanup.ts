import { linkBetween } from '../../data/link.ts';
import { stopSync } from '../../data/sync.ts';
import type { ReleaseContext } from '../context.ts';
import { takeBackup } from '../backup.ts';
import { release } from '../establish.ts';
import { migrate } from '../migrate.ts';
import { passes } from '../../gates/gate.ts';
import { StageStopped, type Stage } from '../stage.ts';

/** The declared point of no return: the contract migrations run, the way back ends, the old colour is let go. */
export const cleanup: Stage = {
  id: 'cleanup',
  title: 'Clean-up',

  plan: ({ kind, definition, from }) => ({
    steps: [
      ...(kind === 'go-live' ? [] : [`end the replication back to ${from?.colour}`]),
      'contract migrations (no way back from here)',
      ...(kind === 'go-live'
        ? []
        : [
            definition.bake.oldColour === 'release'
              ? `take ${from?.colour} down${definition.platform === 'aws' ? ', all but its database' : ''}`
              : `keep ${from?.colour} warm`,
          ]),
      `back up; keep the newest ${definition.data.backupRetention} backups`,
    ],
    workMs: 10_000,
    observationMs: 0,
  }),

  async apply(context) {
    const { from, to, definition, environment, journal } = context;
    refuseUnverified(context);
    const { databases, jobs, backups } = await context.connect();
    const access = await databases.of(to.colour);
    // Done by a run that was cut off later: the old colour may be gone since.
    const ended = journal.entries().some((entry) => entry.type === 'action.done' && entry.id === 'cleanup/end-reverse');
    if (from !== undefined && !ended) {
      await context.act('end-reverse', `end the replication back to ${from.colour}`, async () =>
        stopSync(
          linkBetween({ colour: to.colour, access }, { colour: from.colour, access: await databases.of(from.colour) }),
        ),
      );
    }
    await migrate(context, 'contract', { access, artefact: context.artefact(), where: to.colour, jobs });
    if (from !== undefined && definition.bake.oldColour === 'release') await release(context, environment, from.colour);
    await takeBackup(context, to.colour, to.version);
    const gone = await context.act('prune-backups', `keep the newest ${definition.data.backupRetention} backups`, () =>
      backups.prune(definition.data.backupRetention),
    );
    if (gone.length > 0) context.note(`deleted backups: ${gone.map(({ id }) => id).join(', ')}`);
  },

  verify: () => Promise.resolve(undefined),

  // Past the point of no return: what failed here is finished by `resume`, never undone.
  undo: () => Promise.resolve(undefined),
};

/** Nothing is cleaned up while a gate is open, or before the two databases were found equal at the cutover. */
function refuseUnverified({ journal, from }: ReleaseContext): void {
  const judged = journal.entries().flatMap((entry) => (entry.type === 'gate.judged' ? [entry.gate] : []));
  const latest = new Map(judged.map((gate) => [gate.id, gate]));
  const open = [...latest.values()]
    .filter((gate) => !passes(gate.verdict))
    .map((gate) => `${gate.id} is ${gate.verdict}`);
  if (from !== undefined && !latest.has('data-comparison')) open.push('the databases were not compared');
  if (open.length > 0) throw new StageStopped('no-go', `the old colour is kept: ${open.join('; ')}`);
}
