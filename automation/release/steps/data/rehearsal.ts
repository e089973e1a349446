import type { Artefact, Colour } from '../../../../infra/model.ts';
import type { DatabaseAccess } from '../../../../infra/platform/databases.ts';
import type { Environment } from '../../../../infra/platform/environment.ts';
import { grantWrites } from '../../../../infra/application/roles.ts';
import { findObstacles } from '../../../data/publication/both-ways.ts';
import { tablesOf } from '../../../data/catalog.ts';
import { row, withClient } from '../../../data/connect.ts';
import { checkInvariants } from '../../../data/comparison/invariants.ts';
import { contractRehearsalGate, migrationRehearsalGate, type RehearsalFacts } from '../../../gates/data/data.ts';
import type { Gate } from '../../../journal/verdict.ts';
import { testsGate } from '../../../gates/tests/tests.ts';
import type { ReleaseContext } from '../../context/context.ts';
import { extensionOf } from '../../../journal/extension.ts';
import { migrate, pendingOf } from './migrate.ts';
import { secrets } from '../../../../infra/lib/redact.ts';

/** Where the rehearsal happens: a copy of the real data, and what serves a version on it. */
interface Copy {
  access: DatabaseAccess;
  environment: Environment;
}

/**
 * Everything that a release does to the schema, in its order and on a copy of the real data: the expand migrations, the new version
 * with writes, the old version on the new schema, and at last the contract migrations and the new version on what they leave.
 */
export async function rehearse(
  context: ReleaseContext,
  { colour, artefact: old }: { colour: Colour; artefact: Artefact },
  access: DatabaseAccess,
): Promise<void> {
  const copy = { access, environment: await context.connect() };
  const artefact = context.artefact();
  const { version } = artefact;
  const [migrated] = await context.gates([migrationRehearsalGate({ rehearse: () => expand(context, copy, colour) })]);
  if (migrated?.verdict !== 'pass') return;
  await withClient(access, 'admin', (client) => client.query(grantWrites));
  const judge = (gate: Gate) => context.gates([gate]);
  const title = `Acceptance of ${version} on a copy of the real data`;
  await onTheCopy(context, copy, artefact, 'rehearsal-acceptance', title, judge);
  await onTheCopy(context, copy, old, 'compatibility', `${old.version} on the schema of ${version}`, judge);
  await rehearseContract(context, copy);
}

/** Last, as the old version needs what the contract migrations take away. */
async function rehearseContract(context: ReleaseContext, copy: Copy): Promise<void> {
  const artefact = context.artefact();
  const title = `Acceptance of ${artefact.version} after the contract migrations`;
  await context.gates([
    contractRehearsalGate({
      rehearse: () => contract(context, copy),
      acceptance: (run) => onTheCopy(context, copy, artefact, 'contract-rehearsal', title, (gate) => gate.measure(run)),
    }),
  ]);
}

async function expand(context: ReleaseContext, { access, environment }: Copy, live: Colour): Promise<RehearsalFacts> {
  const { jobs, databases } = environment;
  const artefact = context.artefact();
  const before = await withClient(access, 'admin', tablesOf);
  const expected = await pendingOf(context, 'expand', access, artefact);
  const applied = await migrate(context, 'expand', { access, artefact, where: 'scratch', jobs });
  const extension = extensionOf(before, await withClient(access, 'admin', tablesOf));
  context.journal.append({ type: 'schema.extended', ...extension });
  // Seen before anything is published: a table of which nothing could flow back.
  const { found } = await withClient(await databases.of(live), 'admin', (old) =>
    withClient(access, 'admin', (copy) => findObstacles({ old, new: copy }, { old: live, new: 'the copy' })),
  );
  return { expected, applied, ...(await look(context, access)), obstacles: found.map((obstacle) => obstacle.found) };
}

async function contract(context: ReleaseContext, { access, environment: { jobs } }: Copy): Promise<RehearsalFacts> {
  const artefact = context.artefact();
  const expected = await pendingOf(context, 'contract', access, artefact);
  const applied =
    expected.length === 0 ? [] : await migrate(context, 'contract', { access, artefact, where: 'scratch', jobs });
  return { expected, applied, ...(await look(context, access)) };
}

async function look(
  { definition }: ReleaseContext,
  access: DatabaseAccess,
): Promise<Pick<RehearsalFacts, 'relations' | 'invariants'>> {
  const invariants = await checkInvariants(access, definition.data.invariants);
  const relations = await withClient(access, 'admin', (client) =>
    row<{ count: number }>(
      client,
      `SELECT count(*)::int AS count FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND relkind IN ('r', 'v', 'm', 'p')`,
    ),
  );
  return { relations: relations.count, invariants };
}

/** Serves a version on the copy for the time in which its acceptance tests are judged. */
async function onTheCopy<T>(
  context: ReleaseContext,
  { access, environment: { previews, jobs } }: Copy,
  artefact: Artefact,
  id: string,
  title: string,
  judge: (gate: Gate) => Promise<T>,
): Promise<T> {
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
    return await judge(testsGate({ id, title, jobs, artefact, command, env, timeoutMs: timeoutSeconds * 1000 }));
  } finally {
    await preview.dispose();
  }
}
