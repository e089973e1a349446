import type { TableComparison } from '../../journal/events.ts';
import { compareDatabases, type CompareOptions } from '../comparison/compare.ts';
import { sessionsPerSide, Snapshot } from '../comparison/snapshot.ts';
import { close, connect } from '../connect.ts';
import type { Side } from '../link.ts';
import type { Sessions } from '../replication/reverse.ts';

interface CompareSides {
  from: Side;
  to: Side;
  columns: CompareOptions['columns'];
  /** Its abort ends the comparison. */
  signal?: AbortSignal;
  /** Statement timeout, ms; default: that of each session. A server goes on with a statement whose client has gone. */
  statementMs?: number;
}

/** Compares both databases as of the snapshots that are open, with as many sessions as the machine has processors for. */
export async function compareSides(
  snapshots: Sessions,
  { from, to, columns, signal, statementMs }: CompareSides,
): Promise<TableComparison[]> {
  const sides = [
    { look: new Snapshot(snapshots.old), access: from.access },
    { look: new Snapshot(snapshots.new), access: to.access },
  ] as const;
  const options = statementMs === undefined ? {} : { statementMs };
  const stop = (): void => {
    for (const { look } of sides) void Promise.all([close(look.first), look.close()]);
  };
  signal?.addEventListener('abort', stop);
  try {
    signal?.throwIfAborted();
    await Promise.all(
      sides.map(async ({ look, access }) => {
        if (statementMs !== undefined)
          await look.first.query(`SET LOCAL statement_timeout = ${Math.ceil(statementMs)}`);
        await look.widen(sessionsPerSide(), () => connect(access, 'admin', options));
      }),
    );
    return await compareDatabases(sides[0].look, sides[1].look, {
      columns,
      names: { left: from.colour, right: to.colour },
    });
  } finally {
    signal?.removeEventListener('abort', stop);
    await Promise.all(sides.map(({ look }) => look.close()));
  }
}
