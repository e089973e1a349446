import { OperationError } from '../../../infra/lib/errors.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { close, connect } from '../connect.ts';
import { capacity } from './capacity.ts';
import {
  actingTriggers,
  copiedTriggers,
  fedFromElsewhere,
  foreignSequences,
  foreignTables,
  largeObjects,
  materialisedViews,
  openReads,
  openWrites,
  passwordInLog,
  rowsThatAreCopied,
  strangeConsumers,
  strangeSlots,
  writtenFromElsewhere,
  type Check,
  type PreconditionSettings,
} from './checks.ts';
import { otherVersion } from './upgrade.ts';
import { tablesCanBePublished, type Finding } from './publishable.ts';
import { strayRights } from './rights.ts';
import { unresolvedNames } from './search-path.ts';
import { wholeRows } from './whole-rows.ts';

export type { Finding } from './publishable.ts';

const defaults = { openTransactionSeconds: 10, physical: false };

/**
 * Checks the live database, and the inactive one if it is given. Lists all findings at once; warnings do not prevent a
 * replication. Changes nothing: tables are published only in a transaction that is rolled back.
 */
export async function preconditions(
  live: DatabaseAccess,
  inactive?: DatabaseAccess,
  options: Partial<PreconditionSettings> = {},
): Promise<Finding[]> {
  const settings = { reader: (live.replication ?? live.admin).user, ...defaults, ...options };
  const source = await connect(live, 'admin');
  const target =
    inactive === undefined
      ? undefined
      : await connect(inactive, 'admin').catch(async (error: unknown) => {
          await close(source);
          throw error;
        });
  try {
    const found: Finding[] = [];
    for (const check of liveChecks)
      found.push(...(await check(source, settings)).map((f) => ({ side: 'live' as const, ...f })));
    if (target === undefined) return found;
    for (const check of inactiveChecks)
      found.push(...(await check(target, settings)).map((f) => ({ side: 'inactive' as const, ...f })));
    if (settings.physical) return found;
    found.push(...(await otherVersion(source, target)).map((f) => ({ side: 'inactive' as const, ...f })));
    return found;
  } finally {
    await Promise.all([close(source), close(target)]);
  }
}

/** Throws an OperationError that lists every unmet precondition with its cure. Resolves to the warnings. */
export async function requirePreconditions(
  live: DatabaseAccess,
  inactive?: DatabaseAccess,
  options?: Partial<PreconditionSettings>,
): Promise<Finding[]> {
  const found = await preconditions(live, inactive, options);
  const errors = found.filter(isError);
  if (errors.length === 0) return found;
  throw new OperationError(
    'checking that the live database can be replicated',
    errors.length === 1 ? 'one precondition is not met' : `${errors.length} preconditions are not met`,
    errors.map((e) => `- ${e.side}: ${withCure(e)}`).join('\n  '),
  );
}

/** A transaction that has been open for so long will hardly end before the release comes to the database, s. */
const stuckSeconds = 600;

/**
 * Every unmet precondition of the live database alone, long before it is published, each with its cure on a second line.
 * Empty if all are met. A transaction counts only if it looks stuck.
 */
export const unmetPreconditions = async (live: DatabaseAccess, physical: boolean): Promise<string[]> =>
  (await preconditions(live, undefined, { openTransactionSeconds: stuckSeconds, physical }))
    .filter(isError)
    .map(withCure);

const isError = ({ severity }: Finding): boolean => severity === 'error';
const withCure = ({ found, cure }: Finding): string => `${found};\n    cure: ${cure}`;

const liveChecks: Check[] = [
  capacity,
  tablesCanBePublished,
  wholeRows,
  (client) => unresolvedNames(client),
  foreignSequences,
  rowsThatAreCopied,
  passwordInLog,
  foreignTables,
  largeObjects,
  openWrites,
  openReads,
  strayRights,
  materialisedViews,
  strangeSlots,
  strangeConsumers,
  fedFromElsewhere,
  copiedTriggers,
];
const inactiveChecks: Check[] = [capacity, writtenFromElsewhere, openWrites, openReads, actingTriggers];
