import type pg from 'pg';
import { OperationError } from '../../../infra/lib/errors.ts';
import { changedSince, markCatalog } from '../objects/changes.ts';
import { compareObjects } from '../objects/compare.ts';
import { readObjects } from '../objects/read.ts';
import type { Link } from '../link.ts';
import { describeDrift, driftBetween } from '../replication/schema-drift.ts';
import { carried } from '../replication/schema-record.ts';
import type { Sessions } from '../replication/reverse.ts';

/** The catalogs of both sides as they were when they were compared, before any write was held. */
export interface SchemaGuard {
  /** How many objects were compared. */
  objects: number;
  /**
   * What was changed on the side that writes leave since then, for people; undefined if nothing was. Milliseconds, unless something
   * was changed.
   */
  changed(): Promise<string | undefined>;
}

/**
 * Compares both catalogs. Throws an OperationError if they differ in more than the expand migrations have changed. `watch`: a
 * session on the side that writes leave, for the guard alone. Changes are looked for by the same one, as its caches are warm.
 */
export async function guardSchema(forward: Link, sessions: Sessions, watch: pg.Client): Promise<SchemaGuard> {
  const { from, to } = forward;
  // Before it is read: what changes meanwhile is seen as a change later, and looked at again.
  const mark = await markCatalog(watch);
  const [old, newer] = await Promise.all([readObjects(sessions.old), readObjects(sessions.new)]);
  const drifts = await driftBetween(forward, { source: sessions.old, target: sessions.new }, old, newer);
  if (drifts.length > 0) {
    throw new OperationError(
      `comparing the schema of ${to.colour} with that of ${from.colour}`,
      describeDrift(drifts),
      `start the release again: ${to.colour} is then copied afresh; see that nobody changes the schema meanwhile`,
    );
  }
  return {
    objects: old.length,
    async changed() {
      if (!(await changedSince(watch, mark))) return undefined;
      const found = compareObjects(carried(old), carried(await readObjects(watch)));
      // Something may have been changed and changed back, or have moved within its files.
      if (found.length === 0) return undefined;
      return describeDrift(
        found.map((difference) => ({
          ...difference,
          on: from.colour,
          migrated: false,
          how: difference.left === undefined ? 'added' : difference.right === undefined ? 'dropped' : 'changed',
        })),
      );
    },
  };
}

/** Throws an OperationError if the schema was changed since it was compared. */
export async function requireUnchanged(guard: SchemaGuard): Promise<void> {
  const found = await guard.changed();
  if (found === undefined) return;
  throw new OperationError(
    'checking that the schema is as it was compared',
    `${found}, a moment ago`,
    'see that nobody changes the schema meanwhile; then start the release again',
  );
}
