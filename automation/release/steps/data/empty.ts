import { greenlight } from '../../../../infra/lib/command.ts';
import { messageOf, OperationError } from '../../../../infra/lib/errors.ts';
import { stackName, type Colour, type EnvironmentName } from '../../../../infra/model.ts';
import type { DatabaseAccess } from '../../../../infra/platform/databases.ts';
import { revokeWrites } from '../../../../infra/application/roles.ts';
import { withClient } from '../../../data/connect.ts';
import type { Side } from '../../../data/link.ts';
import { requireReplaceable, resetDatabase } from '../../../data/schema.ts';
import type { ReleaseContext } from '../../context/context.ts';
import { keepBeforeEmptying } from './kept.ts';
import { situation } from '../../context/situation.ts';

/** Takes a colour that serves nobody down; with its database, where a new one is quickly made. Refuses the one that is live. */
export async function takeDown(context: ReleaseContext, environment: EnvironmentName, colour: Colour): Promise<void> {
  await refuseLive(context, environment, colour, 'taking it down');
  await keepBeforeEmptying(context, environment, colour);
  if (context.platform.idleColour === 'database stays') {
    await context.up(environment, { kind: colour, colour: { colour } });
    await takeWrites(context, environment, colour);
    return;
  }
  await context.act(`destroy-${environment}-${colour}`, `take ${environment} ${colour} down`, () =>
    context.engine.destroy({ environment, kind: colour, signal: context.signal }),
  );
}

/** Stops the services of a colour that was left, and keeps its database. One that does not come up is left as it is. */
export async function stopButKeep(
  context: ReleaseContext,
  environment: EnvironmentName,
  colour: Colour,
): Promise<void> {
  await refuseLive(context, environment, colour, 'stopping its services');
  await context
    .up(environment, { kind: colour, colour: { colour } })
    .catch((error: unknown) => context.note(`the services of ${colour} may still run: ${messageOf(error)}`, 'warning'));
  await takeWrites(context, environment, colour);
}

/**
 * Takes the application's right to write. The next release empties this database, and refuses that while the application may write.
 * If the database cannot be reached now, a rollback still goes on.
 */
async function takeWrites(context: ReleaseContext, environment: EnvironmentName, colour: Colour): Promise<void> {
  try {
    const access = await (await context.connect(environment)).databases.of(colour);
    await withClient(access, 'admin', (client) => client.query(revokeWrites));
  } catch (error) {
    context.note(`the application may still write to ${colour} of ${environment}: ${messageOf(error)}`, 'warning');
  }
}

/**
 * Empties the database of a colour. Refuses it while the balancer says that the colour is live, while the application may write, or
 * where the database says that it belongs to another colour. `evenIfLive` skips the first two, for staging. `like`: the database
 * whose encoding and locale it gets.
 */
export const empty = (
  context: Pick<ReleaseContext, 'act' | 'connect'>,
  environment: EnvironmentName,
  colour: Colour,
  access: DatabaseAccess,
  { evenIfLive = false, like }: { evenIfLive?: boolean; like?: DatabaseAccess } = {},
): Promise<void> =>
  context.act(`empty-${environment}-${colour}`, `empty the database of ${colour} in ${environment}`, async () => {
    if (!evenIfLive) await refuseLive(context, environment, colour, 'emptying its database');
    await resetDatabase(access, stackName(environment, colour), { evenIfLive, like });
  });

/** Removes what is left of the database of a colour, as `requireDiscardable` allows: its stack makes an empty one then. */
export const discard = (
  context: Pick<ReleaseContext, 'act' | 'connect'>,
  environment: EnvironmentName,
  colour: Colour,
): Promise<void> =>
  context.act(`discard-${environment}-${colour}`, `remove what is left of the database of ${colour}`, async () => {
    await requireDiscardable(context, environment, colour);
    await (await context.connect(environment)).databases.discard?.(colour);
  });

/** Rejects for a colour that is live, and where the platform cannot remove a database that does not answer. */
export async function requireDiscardable(
  context: Pick<ReleaseContext, 'connect'>,
  environment: EnvironmentName,
  colour: Colour,
): Promise<void> {
  const doing = 'removing what is left of its database';
  await refuseLive(context, environment, colour, doing);
  if ((await context.connect(environment)).databases.discard !== undefined) return;
  throw new OperationError(
    `${colour} of ${environment}: ${doing}`,
    'it does not answer, and this platform cannot replace one that does not',
    `bring it up, or make an empty one by hand; then: ${greenlight('resume')}`,
  );
}

/** Rejects if a colour's database must not be replaced by a copy, for the reasons for which `empty` does. Its server must run. */
export async function requireIdle(
  context: Pick<ReleaseContext, 'connect'>,
  environment: EnvironmentName,
  { colour, access }: Side,
): Promise<void> {
  await refuseLive(context, environment, colour, 'replacing its database');
  const doing = `replacing the database of ${colour} in ${environment}`;
  await withClient(access, 'admin', (client) => requireReplaceable(client, doing, stackName(environment, colour)));
}

/** Asks the balancer, as the record may be old. */
async function refuseLive(
  context: Pick<ReleaseContext, 'connect'>,
  environment: EnvironmentName,
  colour: Colour,
  doing: string,
): Promise<void> {
  const { live } = await situation(context, environment);
  if (live !== colour) return;
  throw new OperationError(
    `${colour} of ${environment}: ${doing}`,
    'it is live by the balancer',
    `nothing was changed; see who is live: ${greenlight('status')}`,
  );
}
