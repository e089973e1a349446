import { join } from 'node:path';
import { messageOf, OperationError } from '../../../../infra/lib/errors.ts';
import { other, stackName, type Artefact, type Colour, type EnvironmentName } from '../../../../infra/model.ts';
import type { Backup, Backups } from '../../../../infra/platform/backups.ts';
import type { DatabaseAccess } from '../../../../infra/platform/databases.ts';
import type { Environment } from '../../../../infra/platform/environment.ts';
import { grantWrites, revokeWrites } from '../../../../infra/application/roles.ts';
import { withClient } from '../../../data/connect.ts';
import type { Side } from '../../../data/link.ts';
import { copyDatabase, requireReplaceable, resetDatabase } from '../../../data/schema.ts';
import { maskDatabase } from '../../../data/masking/mask.ts';
import type { ReleaseContext } from '../../context/context.ts';
import { situation } from '../../context/situation.ts';
import type { Step } from '../../context/stage.ts';
import { migrate, runAsOwner } from './migrate.ts';
import { untilReady } from '../traffic/ready.ts';

const seedTimeoutMs = 10 * 60_000;

/** A build, and the colour that it goes to. */
export interface Placed {
  colour: Colour;
  artefact: Artefact;
}

/**
 * Puts one version live on staging, where nobody has anything to lose: a fresh database with production's latest
 * backup, personal data masked, or the seed where there is no backup; then the version; then all traffic. The other
 * colour is taken down.
 */
export const establishing: readonly Step<Placed>[] = [
  {
    says: 'bring its database up on staging, and empty it',
    async do(context, { colour }) {
      await context.up('staging', { kind: 'foundation', spec: context.spec('staging') });
      await context.up('staging', { kind: colour, colour: { colour } });
      const access = await accessOf(context, colour);
      await empty(context, 'staging', colour, access, { evenIfLive: true });
    },
  },
  {
    says: "fill it with production's latest backup, personal data masked (where there is none yet: with the seed); migrate it",
    async do(context, { colour, artefact }) {
      const staging = await context.connect('staging');
      const access = await accessOf(context, colour);
      const filled = await fillFromBackup(context, access);
      await migrate(context, 'expand', { access, artefact, where: 'staging', jobs: staging.jobs });
      if (!filled) await seed(context, 'staging', staging, access, artefact);
    },
  },
  {
    says: 'start the version, give it all of staging’s traffic, take the other colour down',
    async do(context, { colour, artefact }) {
      const access = await accessOf(context, colour);
      await context.act('grant-writes-staging', `let ${colour} of staging write`, () =>
        withClient(access, 'admin', async (client) => void (await client.query(grantWrites))),
      );
      await context.up('staging', { kind: colour, colour: { colour, artefact } });
      await untilReady(context, (await context.connect('staging')).router, colour);
      await context.up('staging', { kind: 'traffic', split: { live: colour, percent: 0 } });
      if (await context.engine.exists('staging', other(colour))) await takeDown(context, 'staging', other(colour));
    },
  },
];

const accessOf = async ({ connect }: ReleaseContext, colour: Colour): Promise<DatabaseAccess> =>
  (await connect('staging')).databases.of(colour);

/** Takes a colour that serves nobody down; with its database, where a new one is quickly made. Refuses the one that is live. */
export async function takeDown(context: ReleaseContext, environment: EnvironmentName, colour: Colour): Promise<void> {
  await refuseLive(context, environment, colour, 'taking it down');
  if (context.platform.idleColour === 'database stays') {
    await context.up(environment, { kind: colour, colour: { colour } });
    await takeWrites(context, environment, colour);
    return;
  }
  await context.act(`destroy-${environment}-${colour}`, `take ${environment} ${colour} down`, () =>
    context.engine.destroy({ environment, kind: colour, signal: context.signal }),
  );
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
 * where the database says that it belongs to another colour. `evenIfLive` skips the first two, for staging.
 */
export const empty = (
  context: Pick<ReleaseContext, 'act' | 'connect'>,
  environment: EnvironmentName,
  colour: Colour,
  access: DatabaseAccess,
  { evenIfLive = false }: { evenIfLive?: boolean } = {},
): Promise<void> =>
  context.act(`empty-${environment}-${colour}`, `empty the database of ${colour} in ${environment}`, async () => {
    if (!evenIfLive) await refuseLive(context, environment, colour, 'emptying its database');
    await resetDatabase(access, stackName(environment, colour), { evenIfLive });
  });

/** Rejects if the database of a colour must not be replaced by a copy, for the reasons for which `empty` refuses. Its server has to run. */
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
    'nothing was changed; see who is live: npm run status',
  );
}

/** Fills a new database by the application's own seed, if the release definition names one. */
export async function seed(
  context: ReleaseContext,
  environment: EnvironmentName,
  { jobs }: Environment,
  access: DatabaseAccess,
  artefact: Artefact,
): Promise<void> {
  const command = context.definition.environments[environment].seed;
  if (command === undefined) return;
  const log = join(context.evidence('seed'), `${environment}.log`);
  await context.act(`seed-${environment}`, `seed ${environment}: ${command.join(' ')}`, () =>
    runAsOwner(jobs, access, `seeding ${environment}`, {
      name: 'seed',
      artefact,
      command,
      timeoutMs: seedTimeoutMs,
      log,
      signal: context.signal,
    }),
  );
}

/** The newest backup that passes its checksums; for staging an older one is good enough. */
async function newestSound(context: ReleaseContext, backups: Backups): Promise<Backup | undefined> {
  for (const backup of await backups.list()) {
    try {
      await backups.verify(backup);
      return backup;
    } catch (error) {
      context.note(`backup ${backup.id} is not used: ${messageOf(error)}`, 'warning');
    }
  }
  return undefined;
}

/**
 * Personal data never reaches staging: the backup is restored into a scratch cluster, masked there, and only then
 * copied. Resolves to false where production has no backup yet.
 */
async function fillFromBackup(context: ReleaseContext, access: DatabaseAccess): Promise<boolean> {
  if (!(await context.engine.exists('production', 'traffic'))) return false;
  const { backups } = await context.connect('production');
  const latest = await newestSound(context, backups);
  if (latest === undefined) return false;
  await context.act('masked-data', `restore backup ${latest.id}, mask personal data, copy it to staging`, async () => {
    const scratch = await backups.restore(latest);
    try {
      await maskDatabase(scratch.access, context.definition.data.personal);
      await copyDatabase(scratch.access, access);
    } finally {
      await scratch.dispose();
    }
  });
  return true;
}
