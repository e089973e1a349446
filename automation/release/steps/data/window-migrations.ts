import { OperationError } from '../../../../infra/lib/errors.ts';
import { changesBy, otherThanRehearsed } from '../../../data/effects/changes.ts';
import type { Side } from '../../../data/link.ts';
import { lastOf } from '../../../journal/entries.ts';
import type { ReleaseContext } from '../../context/context.ts';
import { migrate } from './migrate.ts';

/** How many differences a message names. */
const namedAtMost = 10;

/**
 * Runs the incompatible migrations on `side`, to which nobody else writes, and sees that they change there what they changed on the copy.
 * Rejects with an OperationError that names the differences, or where this release has no rehearsal; with the signal's reason once that
 * is aborted. Whatever it rejects with, the database may be migrated: it is to be thrown away.
 */
export async function migrateInWindow(context: ReleaseContext, side: Side, signal: AbortSignal): Promise<void> {
  const doing = `migrating ${side.colour} in the read-only window`;
  const rehearsed = lastOf(context.journal.entries(), 'window.rehearsed');
  if (rehearsed === undefined)
    throw new OperationError(
      doing,
      'the journal of this release has no rehearsal of it, so nobody knows what the migrations should change',
      'start the release again: it rehearses them on a restored backup first',
    );
  const { access, colour: where } = side;
  const { jobs } = await context.connect();
  const artefact = context.artefact();
  const seen = await changesBy(
    access,
    () => migrate(context, 'incompatible', { access, artefact, where, jobs, signal }),
    signal,
  );
  const found = otherThanRehearsed(rehearsed, seen);
  if (found.length === 0) return;
  const more = found.length > namedAtMost ? `; and ${found.length - namedAtMost} more` : '';
  throw new OperationError(
    doing,
    `it did something else than on the copy: ${found.slice(0, namedAtMost).join('; ')}${more}`,
    'nothing was lost: find out why the migrations do not do the same each time, then release again',
  );
}
