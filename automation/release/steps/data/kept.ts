import { greenlight } from '../../../../infra/lib/command.ts';
import { messageOf, OperationError } from '../../../../infra/lib/errors.ts';
import type { Colour, EnvironmentName } from '../../../../infra/model.ts';
import { withClient } from '../../../data/connect.ts';
import { bringBack, bringBackUnfit, type Brought } from '../../../data/kept/bring-back.ts';
import { keepAside } from '../../../data/kept/keep.ts';
import { keptSets, type KeptSet } from '../../../data/kept/tables.ts';
import { markExpanded, unmark } from '../../../data/written-by.ts';
import { plural } from '../../../journal/format.ts';
import type { Kept } from '../../../journal/loss.ts';
import type { ReleaseContext } from '../../context/context.ts';
import { situation } from '../../context/situation.ts';

/** Sets as the journal has them. Sequences go along with their tables, and are not mentioned. */
export function keptOf(sets: readonly Pick<KeptSet, 'kind' | 'relation' | 'columns' | 'key' | 'rows'>[]): Kept {
  const of = (wanted: KeptSet['kind']) => sets.filter(({ kind }) => kind === wanted);
  const tables = of('table').map(({ relation: table, rows }) => ({ table, rows }));
  const columns = of('columns').map(({ relation: table, columns: all, key, rows }) => ({
    table,
    columns: all.slice(key.length),
    rows,
  }));
  return { tables, columns, unfit: of('unfit').map(({ relation: table, rows }) => ({ table, rows })) };
}

/** Keeps aside what only the version on `left` knows, in the database of the colour that is live again. May be repeated. */
export async function keepKnown(
  context: ReleaseContext,
  environment: EnvironmentName,
  { left, live }: { left: Colour; live: Colour },
): Promise<Kept> {
  const { databases } = await context.connect(environment);
  const side = async (colour: Colour) => ({ colour, access: await databases.of(colour) });
  const kept = keptOf(await keepAside(await side(left), await side(live)));
  if (kept.tables.length + kept.columns.length + kept.unfit.length > 0)
    context.journal.append({ type: 'data.kept', ...kept });
  return kept;
}

/**
 * Call it before a colour's database is emptied, replaced or taken down: what only the version there knows is kept aside first, if that
 * version was live and was taken back. Where this release made it live, its database has to answer.
 */
export async function keepBeforeEmptying(
  context: ReleaseContext,
  environment: EnvironmentName,
  colour: Colour,
): Promise<void> {
  const wasLive =
    environment === context.environment &&
    colour === context.to.colour &&
    context.journal.entries().some((entry) => entry.type === 'cutover.done' && entry.direction === 'forward');
  try {
    const { live } = await situation(context, environment);
    if (live !== undefined && live !== colour) await keepKnown(context, environment, { left: colour, live });
  } catch (error) {
    // Most often there is no database yet. One that was live and is not kept is refused where it would be emptied.
    if (!wasLive) return;
    throw new OperationError(
      `keeping aside what only ${context.to.version} knows, on ${colour}`,
      messageOf(error),
      `its database is left as it is. See that both databases run, then: ${greenlight('resume')}`,
    );
  }
}

/** Marks the database after the expand migrations, and brings back what an earlier try of the new version had left. */
export async function afterExpand(context: ReleaseContext, colour: Colour): Promise<void> {
  const access = await (await context.connect()).databases.of(colour);
  const { id: release, to } = context;
  await withClient(access, 'admin', (client) => markExpanded(client, { release, version: to.version }));
  const sets = await context.act('bring-back', `bring back to ${colour} what an earlier try had left`, () =>
    bringBack(access),
  );
  tellBrought(context, sets);
}

/**
 * After the migrations of a read-only window: rows that were written up to here are theirs and the replication's, and not the version's.
 * Not where an earlier try had left some: those were brought back after the expand migrations, and have to be kept anew.
 */
export async function afterWindow({ id: release, to, connect }: ReleaseContext, from: Colour): Promise<void> {
  const { databases } = await connect();
  const left = await withClient(await databases.of(from), 'admin', keptSets);
  if (left.length > 0) return;
  const { colour, version } = to;
  await withClient(await databases.of(colour), 'admin', (client) => markExpanded(client, { release, version }));
}

function tellBrought(context: ReleaseContext, sets: Brought[]): void {
  const told = sets.filter(({ kind }) => kind !== 'sequence');
  if (told.length > 0)
    context.journal.append({
      type: 'data.brought-back',
      sets: told.map(({ relation, columns, kind, rows, left }) => ({
        relation,
        columns: kind === 'columns' ? columns : [],
        rows,
        left,
      })),
    });
}

/**
 * At the end of a release: the live colour is the new version's for good. Rows that only its schema holds come back to it. What an earlier
 * try had left and does not fit is named. May be repeated.
 */
export async function endMark(context: ReleaseContext, colour: Colour): Promise<void> {
  const access = await (await context.connect()).databases.of(colour);
  const unfit = await context
    .act('bring-back-unfit', `bring back to ${colour} the rows that only the new schema holds`, () =>
      bringBackUnfit(access),
    )
    .catch((error: unknown) => {
      context.note(`rows that only the new schema holds are still kept aside: ${messageOf(error)}`, 'warning');
      return [];
    });
  tellBrought(context, unfit);
  const left = await withClient(access, 'admin', async (client) => {
    await unmark(client);
    return keptSets(client);
  });
  if (left.length > 0)
    context.note(
      `${plural(
        left.reduce((sum, { rows }) => sum + rows, 0),
        'row',
      )} of earlier tries are still kept aside, as they do not fit: ${left.map(({ relation, rows }) => `${rows} of ${relation}`).join(', ')}`,
      'warning',
    );
}
