import type { DatabaseAccess } from '../../../../infra/platform/databases.ts';
import type { Colour } from '../../../../infra/model.ts';
import { withClient } from '../../../data/connect.ts';
import type { Link } from '../../../data/link.ts';
import { loosenedOn } from '../../../data/loosened.ts';
import { foreseeLoosenings } from '../../../data/replication/loosen.ts';
import type { ReleaseContext } from '../../context/context.ts';

/** Before anybody approves: what of the expand migrations the old colour gets as well, once the new one is live, and what it does not get. */
export async function foretellLoosened({ note }: Pick<ReleaseContext, 'note'>, { from, to }: Link): Promise<void> {
  const found = await withClient(from.access, 'admin', (old) =>
    withClient(to.access, 'admin', (migrated) => foreseeLoosenings(old, migrated)),
  );
  const repeated = found.filter(({ not }) => not === undefined).map(({ says }) => says);
  if (repeated.length > 0)
    note(
      `the database of ${from.colour} will be changed as well, once ${to.colour} is live, so that such rows can go back: ${repeated.join('; ')}. It stays so after a rollback`,
    );
  const left = found.flatMap(({ says, not }) => (not === undefined ? [] : [`${says} (${not})`]));
  if (left.length > 0)
    note(`not repeated on ${from.colour}, where a row that needs it ends the way back: ${left.join('; ')}`, 'warning');
}

/** Says what a colour's database has got. `when`: `so that rows can go back`. */
export async function tellLoosened(
  { note }: Pick<ReleaseContext, 'note'>,
  { colour, access }: { colour: Colour; access: DatabaseAccess },
  when: string,
): Promise<void> {
  const loosened = await withClient(access, 'admin', loosenedOn).catch(() => []);
  if (loosened.length > 0) note(`on ${colour}, ${when}: ${loosened.map(({ says }) => says).join('; ')}`);
}
