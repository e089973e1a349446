import type pg from 'pg';
import { OperationError } from '../../../infra/lib/errors.ts';
import { tablesOf } from '../catalog.ts';
import { obstacles, type Obstacle } from './flow.ts';
import { identitiesOf, type Identity } from './identity.ts';
import { sharedTables, tryPublication, type Published } from './publication.ts';
import { strayRights } from './rights.ts';
import { unresolvedNames } from './search-path.ts';
import { tryTriggers } from './trigger-trial.ts';

export interface BothWays {
  /** The tables and columns that the new side can send back. */
  shared: Published[];
  /** Identities of the new side's tables. */
  identities: Identity[];
}

/**
 * Checks whether changes can flow forward to a database that has its expand migrations, and back again: that they can be sent, found
 * and applied. Also checks that on both sides the application can write through `app_writer` only. Lists all obstacles at once; `names` are used in messages.
 */
export async function findObstacles(
  sessions: { old: pg.Client; new: pg.Client },
  names: { old: string; new: string },
): Promise<{ found: Omit<Obstacle, 'table'>[] } & BothWays> {
  const [before, identities] = [await identitiesOf(sessions.old), await identitiesOf(sessions.new)];
  const shared = sharedTables(await tablesOf(sessions.new), await tablesOf(sessions.old));
  const back = obstacles(identities, before, true, { from: names.new, to: names.old });
  const forward = obstacles(before, identities, false, { from: names.old, to: names.new });
  const known = [...back, ...forward.filter(({ table }) => !back.some((b) => b.table === table))];
  const refused = (await tryPublication(sessions.new, shared, identities))
    .filter(({ table }) => !known.some((k) => k.table === table))
    .map(({ relation, message }) => ({
      found: `table ${relation}, once published on ${names.new}: ${message}`,
      cure: 'give it a primary key that both sides have',
    }));
  const rights = async (client: pg.Client, side: string): Promise<Omit<Obstacle, 'table'>[]> =>
    (await strayRights(client))
      .filter(({ severity }) => severity === 'error')
      .map(({ found, cure }) => ({ found: `on ${side}: ${found}`, cure }));
  const stray = [...(await rights(sessions.old, names.old)), ...(await rights(sessions.new, names.new))];
  const unresolved = [
    ...(await unresolvedNames(sessions.new, before)),
    ...(await tryTriggers(sessions.old, sessions.new, before)),
  ];
  const failing = unresolved.map(({ found, cure }) => ({ found: `on ${names.new}: ${found}`, cure }));
  return { found: [...known, ...refused, ...stray, ...failing], shared, identities };
}

/** As `findObstacles`, but throws an OperationError that lists all obstacles with their cures. */
export async function requireBothWays(
  sessions: { old: pg.Client; new: pg.Client },
  names: { old: string; new: string },
): Promise<BothWays> {
  const { found, ...ways } = await findObstacles(sessions, names);
  if (found.length === 0) return ways;
  throw new OperationError(
    `checking that changes can flow between ${names.old} and the migrated ${names.new}, both ways`,
    found.map((f) => f.found).join('; '),
    found.map((f) => f.cure).join('\n  '),
  );
}
