import { greenlight } from '../../../../infra/lib/command.ts';
import { messageOf, OperationError } from '../../../../infra/lib/errors.ts';
import { compareDatabases, openSnapshot } from '../../../data/comparison/compare.ts';
import { close, connect, withClient } from '../../../data/connect.ts';
import { leaveWithoutRest } from '../../../data/cutover/without-rest.ts';
import type { Link } from '../../../data/link.ts';
import type { Colour } from '../../../../infra/model.ts';
import type { JournalEntry, TableComparison } from '../../../journal/events.ts';
import { formatDuration, plural } from '../../../journal/format.ts';
import { columnsOf, describeLoss, type Loss } from '../../../journal/loss.ts';
import type { ReleaseContext } from '../../context/context.ts';
import { linkOf } from './link.ts';
import { withSettling, type Move } from './move-writes.ts';
import { whileWorkersPause } from './workers.ts';

/** Statement timeout of the comparison, ms. */
const compareMs = 600_000;

export type Accepted = Extract<Loss, { kind: 'accepted' }>;

/** What a way back without the rest of the replication would lose. Both databases are compared, where both answer. */
export async function stateLoss(link: Link, problem: string, entries: readonly JournalEntry[]): Promise<Accepted> {
  const because = problem;
  try {
    const left = await connect(link.from.access, 'admin', { statementMs: compareMs });
    try {
      const lost = await withClient(
        link.to.access,
        'admin',
        async (right) => {
          await Promise.all([openSnapshot(left), openSnapshot(right)]);
          const names = { left: link.from.colour, right: link.to.colour };
          return compareDatabases(left, right, { columns: 'common', names });
        },
        { statementMs: compareMs },
      );
      return { kind: 'accepted', because, lost: lost.flatMap((table) => tellLost(table, link.to.colour)) };
    } finally {
      await close(left);
    }
  } catch (error) {
    return {
      kind: 'accepted',
      because: `${because === messageOf(error) ? because : `${because}; ${messageOf(error)}`}${lastSeen(entries)}`,
    };
  }
}

/** What of one table is not on `live`, as far as it can be compared. */
function tellLost({ table, only, equal, detail, rows, leftColumns = [] }: TableComparison, live: Colour): string[] {
  if (only !== undefined) return only === 'left' && rows.left > 0 ? [`${table}: ${plural(rows.left, 'row')}`] : [];
  const differs = equal ? [] : [detail ?? 'differs'];
  // A column that was renamed is one that the other side does not have: nobody can say which of its values are new.
  const alone =
    leftColumns.length === 0 || rows.left === 0
      ? []
      : [
          `${columnsOf(table, leftColumns)} cannot be compared, as ${live} does not have ${leftColumns.length === 1 ? 'it' : 'them'}`,
        ];
  return differs.length + alone.length === 0 ? [] : [`${table}: ${[...differs, ...alone].join(', and ')}`];
}

/** When the old colour was last seen to have everything, from the journal. */
function lastSeen(entries: readonly JournalEntry[]): string {
  const seen = entries.findLast((entry) => entry.type === 'sync.progress' && entry.direction === 'reverse');
  if (seen === undefined) return '; it was never seen to follow';
  const ago = formatDuration(Math.max(0, Date.now() - Date.parse(seen.at)));
  return `; it was last seen to follow at ${seen.at}, ${ago} ago`;
}

/**
 * Goes back without what the replication has not brought. Says first what is lost, and asks where somebody can be asked; `onAgreed` is
 * called once nobody has said no. The colour that is left is fenced if it answers. Its database is left as it is.
 */
export async function leaveWithLoss(
  context: ReleaseContext,
  move: Pick<Move, 'from' | 'to'>,
  problem: string,
  onAgreed: () => void = () => undefined,
): Promise<Accepted & { ms: number }> {
  const { from, to } = move;
  const link = await linkOf(context, from, to);
  const loss = await stateLoss(link, problem, context.journal.entries());
  context.note(`going back to ${to}: ${describeLoss(loss)}`, 'warning');
  const answer = await context.ask?.(`Go back to ${to} all the same?`);
  if (answer?.yes === false)
    throw new OperationError(
      `going back to ${to}`,
      `${answer.by} said no`,
      `${from} is live as before: ${greenlight('status')}`,
    );
  onAgreed();
  const started = performance.now();
  const { router } = await context.connect();
  await context.act('rollback-with-loss', `make ${to} live without what ${from} wrote since`, () =>
    whileWorkersPause(context, { insist: true }, () =>
      leaveWithoutRest(link, {
        router,
        holdMs: withSettling(context.definition.cutover, router).holdMs,
        onProblem: (text) => context.note(text, 'warning'),
      }),
    ),
  );
  const split = { live: to, percent: 0 };
  const ms = Math.round(performance.now() - started);
  context.journal.append({ type: 'traffic.set', split, by: 'balancer', ms });
  return { ...loss, ms };
}
