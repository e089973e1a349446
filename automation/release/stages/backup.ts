import { isDeepStrictEqual } from 'node:util';
import type { Artefact } from '../../../infra/model.ts';
import type { Backup, DatabaseAccess, Environment, ScratchDatabase } from '../../../infra/platform.ts';
import { grantWrites } from '../../../infra/roles.ts';
import { findObstacles } from '../../data/both-ways.ts';
import { openSnapshot } from '../../data/compare.ts';
import { close, connect, row, withClient } from '../../data/connect.ts';
import { checkInvariants } from '../../data/invariants.ts';
import { compareRestored } from '../../data/restored.ts';
import { backupRestoreGate, migrationRehearsalGate, type RestoreFacts } from '../../gates/data.ts';
import { testsGate } from '../../gates/tests.ts';
import { takeBackup } from '../backup.ts';
import type { ReleaseContext } from '../context.ts';
import { migrate, pendingExpand } from '../migrate.ts';
import { secrets } from '../redact.ts';
import type { Stage } from '../stage.ts';

/**
 * The backup just made is restored into a scratch cluster, and there, on real data and with nothing at stake, what
 * could go wrong is tried: the restore, the migrations, the new version with writes, the old version on the new schema.
 */
export const backup: Stage = {
  id: 'backup',
  title: 'Backup and rehearsal on a copy',

  plan: ({ kind }) =>
    kind === 'go-live'
      ? { steps: ['nothing is live yet: the first backup is made after going live'], workMs: 0, observationMs: 0 }
      : {
          steps: ['back up the database and the configuration; check every byte against its checksum'],
          gates: {
            'backup-restore': 'Backup restored into a scratch cluster and compared with what is live',
            'migration-rehearsal': 'Migrations run there, invariants hold',
            'rehearsal-acceptance': 'Acceptance tests of the new version there, with writes',
            compatibility: 'Acceptance tests of the old version on the new schema',
          },
          workMs: 30_000,
          observationMs: 0,
        },

  async apply(context) {
    if (context.from === undefined) {
      context.note('nothing is live yet: the first backup is made after going live');
      return;
    }
    const scratch = await backUpAndRestore(context, context.from);
    if (scratch === undefined) return;
    try {
      await rehearse(context, context.from, scratch.access);
    } finally {
      await scratch.dispose();
    }
  },

  verify: () => Promise.resolve(undefined),
  // A backup is kept, whatever becomes of the release.
  undo: () => Promise.resolve(undefined),
};

type From = NonNullable<ReleaseContext['from']>;

/** Resolves to the restored database; undefined where the gate found that it is no good. */
async function backUpAndRestore(context: ReleaseContext, from: From): Promise<ScratchDatabase | undefined> {
  const environment = await context.connect();
  const live = await environment.databases.of(from.colour);
  const [before, after] = await Promise.all([connect(live, 'admin'), connect(live, 'admin')]);
  let scratch: ScratchDatabase | undefined;
  try {
    await openSnapshot(before);
    const taken = await takeBackup(context, from.colour, from.version);
    await openSnapshot(after);
    const age = Date.now() - Date.parse(taken.backup.takenAt);
    const restore = async (): Promise<RestoreFacts> => {
      const started = performance.now();
      const configuration = await environment.backups.verify(taken.backup);
      scratch = await environment.backups.restore(taken.backup);
      const recoveryTimeMs = Math.round(performance.now() - started);
      const tables = await withClient(scratch.access, 'admin', (restored) => compareRestored(before, after, restored));
      record(context, taken.backup, recoveryTimeMs, age, tables);
      const configurationEqual = isDeepStrictEqual(configuration, JSON.parse(JSON.stringify(taken.configuration)));
      return { tables, recoveryTimeMs, recoveryPointMs: age, bytes: taken.backup.bytes, configurationEqual };
    };
    const [result] = await context.gates([backupRestoreGate({ restore })]);
    if (result?.verdict === 'pass') return scratch;
    await scratch?.dispose();
    return undefined;
  } catch (error) {
    await scratch?.dispose();
    throw error;
  } finally {
    await Promise.all([close(before), close(after)]);
  }
}

function record(
  context: ReleaseContext,
  { id }: Backup,
  recoveryTimeMs: number,
  recoveryPointMs: number,
  tables: RestoreFacts['tables'],
): void {
  context.journal.append({ type: 'backup.restored', id, recoveryTimeMs, recoveryPointMs, tables });
}

/** Migrations and both versions' acceptance tests on the restored data. */
async function rehearse(context: ReleaseContext, from: From, access: DatabaseAccess): Promise<void> {
  const { data } = context.definition;
  const environment = await context.connect();
  const artefact = context.artefact();
  const live = await environment.databases.of(from.colour);
  const migrations = async () => {
    const expected = await pendingExpand(context, access, artefact);
    const applied = await migrate(context, 'expand', { access, artefact, where: 'scratch', jobs: environment.jobs });
    const invariants = await checkInvariants(access, data.invariants);
    const relations = await withClient(access, 'admin', (client) =>
      row<{ count: number }>(
        client,
        `SELECT count(*)::int AS count FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND relkind IN ('r', 'v', 'm', 'p')`,
      ),
    );
    const { found } = await withClient(live, 'admin', (old) =>
      withClient(access, 'admin', (copy) => findObstacles({ old, new: copy }, { old: from.colour, new: 'the copy' })),
    );
    return { expected, applied, relations: relations.count, invariants, obstacles: found.map((o) => o.found) };
  };
  const [migrated] = await context.gates([migrationRehearsalGate({ rehearse: migrations })]);
  if (migrated?.verdict !== 'pass') return;
  await withClient(access, 'admin', (client) => client.query(grantWrites));
  await acceptance(
    context,
    environment,
    artefact,
    access,
    'rehearsal-acceptance',
    `Acceptance of ${artefact.version} on a copy of the real data`,
  );
  await acceptance(
    context,
    environment,
    from.artefact,
    access,
    'compatibility',
    `${from.artefact.version} on the schema of ${artefact.version}`,
  );
}

async function acceptance(
  context: ReleaseContext,
  { previews, jobs }: Environment,
  artefact: Artefact,
  access: DatabaseAccess,
  id: string,
  title: string,
): Promise<void> {
  const { command, timeoutSeconds } = context.definition.tests.acceptance;
  const preview = await context.act(id, `start ${artefact.version} on the copy`, () =>
    previews.serve(artefact, access),
  );
  try {
    const { baseUrl, caFile, routeHeaders } = preview;
    for (const value of Object.values(routeHeaders)) secrets.register(value);
    const env = {
      BASE_URL: baseUrl,
      ROUTE_HEADERS: JSON.stringify(routeHeaders),
      ...(caFile === undefined ? {} : { NODE_EXTRA_CA_CERTS: caFile }),
    };
    await context.gates([testsGate({ id, title, jobs, artefact, command, env, timeoutMs: timeoutSeconds * 1000 })]);
  } finally {
    await preview.dispose();
  }
}
