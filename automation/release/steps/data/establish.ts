import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import { messageOf } from '../../../../infra/lib/errors.ts';
import { other, type Artefact, type Colour, type EnvironmentName } from '../../../../infra/model.ts';
import type { Backup, Backups } from '../../../../infra/platform/backups.ts';
import type { DatabaseAccess } from '../../../../infra/platform/databases.ts';
import type { Environment } from '../../../../infra/platform/environment.ts';
import { grantWrites } from '../../../../infra/application/roles.ts';
import { withClient } from '../../../data/connect.ts';
import { requireClassified } from '../../../data/masking/classify.ts';
import { copyDatabase } from '../../../data/copying/schema.ts';
import { maskDatabase } from '../../../data/masking/mask.ts';
import type { ReleaseContext } from '../../context/context.ts';
import type { Step } from '../../context/stage.ts';
import { databaseUp } from './database-up.ts';
import { empty, takeDown } from './empty.ts';
import { migrateAtOnce, runAsOwner } from './migrate.ts';
import { untilReady } from '../traffic/ready.ts';
import { followLive } from '../traffic/workers.ts';

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
      // Its database is emptied, whoever works on it.
      await (await context.connect('staging')).workers?.pause({ insist: true });
      await databaseUp(context, 'staging', colour);
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
      await migrateAtOnce(context, { access, artefact, where: 'staging', jobs: staging.jobs });
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
      await followLive(await context.connect('staging'));
      if (await context.engine.exists('staging', other(colour))) await takeDown(context, 'staging', other(colour));
    },
  },
];

const accessOf = async ({ connect }: ReleaseContext, colour: Colour): Promise<DatabaseAccess> =>
  (await connect('staging')).databases.of(colour);

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
  const production = await context.connect('production');
  const { backups } = production;
  const latest = await newestSound(context, backups);
  if (latest === undefined) return false;
  await context.act('masked-data', `restore backup ${latest.id}, mask personal data, copy it to staging`, async () => {
    const scratch = await backups.restore(latest);
    try {
      const { personal, harmless, limits } = context.definition.data;
      await requireClassified(scratch.access, personal, harmless);
      await maskDatabase(scratch.access, personal, maskSecret(production), harmless);
      await copyDatabase(scratch.access, access, limits.copySeconds * 1000);
    } finally {
      await scratch.dispose();
    }
  });
  return true;
}

/**
 * The secret of the masks: the same in every release, so that a person has the same mask again. It is derived from the one secret
 * of production that both colours and all platforms have, and that staging does not.
 */
function maskSecret({ router }: Environment): string {
  return createHmac('sha256', JSON.stringify(router.entry.routeHeaders('blue')))
    .update('masks')
    .digest('hex');
}
