import type { Artefact } from '../../../../infra/model.ts';
import type { DatabaseAccess } from '../../../../infra/platform/databases.ts';
import type { Environment } from '../../../../infra/platform/environment.ts';
import { grantWrites } from '../../../../infra/application/roles.ts';
import { findObstacles } from '../../../data/publication/both-ways.ts';
import { countRelations, tablesOf } from '../../../data/catalog.ts';
import { withClient } from '../../../data/connect.ts';
import { checkInvariants } from '../../../data/comparison/invariants.ts';
import {
  effectsTitle,
  migrationEffectsGate,
  type EffectAcceptance,
  type EffectFacts,
} from '../../../gates/data/effects.ts';
import { contractRehearsalGate, migrationRehearsalGate, type RehearsalFacts } from '../../../gates/data/rehearsal.ts';
import { allOf } from '../../../journal/entries.ts';
import type { JournalEntry } from '../../../journal/events.ts';
import type { Gate } from '../../../journal/verdict.ts';
import { testsGate } from '../../../gates/tests/tests.ts';
import type { ReleaseContext } from '../../context/context.ts';
import type { LivePlacement } from '../../context/release.ts';
import type { Step } from '../../context/stage.ts';
import { extensionOf } from '../../../journal/extension.ts';
import { migrationEffectsGateId } from '../../../journal/migration-risks.ts';
import { migrate, pendingOf } from './migrate.ts';
import { observe } from './observe-migrations.ts';
import { secrets } from '../../../../infra/lib/redact.ts';

/** Where the rehearsal happens: a copy of the real data, and what serves a version on it. */
interface Copy {
  access: DatabaseAccess;
  environment: Environment;
}

const migrationsRehearsed = 'migration-rehearsal';

/**
 * Everything that a release does to the schema, in its order and on a copy of the real data: the expand migrations, the new version
 * with writes, the old version on the new schema, and at last the contract migrations and the new version on what they leave.
 */
export function rehearsing({ colour, artefact: old }: LivePlacement): readonly Step<DatabaseAccess>[] {
  const when = ({ journal }: ReleaseContext): boolean => migrated(journal.entries());
  const judge = (context: ReleaseContext) => (gate: Gate) => context.gates([gate]);
  return [
    {
      says: 'run the expand migrations on that copy, and judge what they did there by the catalog and the rows before and after',
      gates: {
        [migrationsRehearsed]: 'Migrations run there, invariants hold',
        [migrationEffectsGateId]: effectsTitle,
      },
      async do(context, access) {
        const copy = await copyOf(context, access);
        let seen: EffectFacts | undefined;
        const rehearse = async (): Promise<RehearsalFacts> => {
          const found = await expand(context, copy, { colour, artefact: old });
          seen = found.seen;
          return found.facts;
        };
        await context.gates([migrationRehearsalGate({ rehearse })]);
        if (seen !== undefined) await context.gates([migrationEffectsGate({ seen, accept: acceptedOn(context) })]);
      },
    },
    {
      says: 'try the new version there, with writes',
      gates: { 'rehearsal-acceptance': 'Acceptance tests of the new version there, with writes' },
      when,
      async do(context, access) {
        await withClient(access, 'admin', (client) => client.query(grantWrites));
        const artefact = context.artefact();
        const title = `Acceptance of ${artefact.version} on a copy of the real data`;
        await onTheCopy(
          context,
          await copyOf(context, access),
          artefact,
          'rehearsal-acceptance',
          title,
          judge(context),
        );
      },
    },
    {
      says: `try ${old.version} there, on the new schema`,
      gates: { compatibility: 'Acceptance tests of the old version on the new schema' },
      when,
      async do(context, access) {
        const title = `${old.version} on the schema of ${context.artefact().version}`;
        await onTheCopy(context, await copyOf(context, access), old, 'compatibility', title, judge(context));
      },
    },
    {
      says: 'run the contract migrations there, and try the new version again',
      gates: {
        'contract-rehearsal':
          'Contract migrations run there, invariants hold, acceptance tests of the new version pass again',
      },
      when,
      do: async (context, access) => rehearseContract(context, await copyOf(context, access), old),
    },
  ];
}

/** On a copy that the migrations failed on there is nothing more to try. */
const migrated = (entries: readonly JournalEntry[]): boolean =>
  allOf(entries, 'gate.judged').findLast(({ gate }) => gate.id === migrationsRehearsed)?.gate.verdict === 'pass';

const copyOf = async ({ connect }: ReleaseContext, access: DatabaseAccess): Promise<Copy> => ({
  access,
  environment: await connect(),
});

/** Last, as the old version needs what the contract migrations take away. */
async function rehearseContract(context: ReleaseContext, copy: Copy, old: Artefact): Promise<void> {
  const artefact = context.artefact();
  const title = `Acceptance of ${artefact.version} after the contract migrations`;
  await context.gates([
    contractRehearsalGate({
      rehearse: () => contract(context, copy, old),
      accept: acceptedOn(context),
      acceptance: (run) => onTheCopy(context, copy, artefact, 'contract-rehearsal', title, (gate) => gate.measure(run)),
    }),
  ]);
}

async function expand(
  context: ReleaseContext,
  { access, environment }: Copy,
  { colour: live, artefact: old }: Pick<LivePlacement, 'colour' | 'artefact'>,
): Promise<{ facts: RehearsalFacts; seen: EffectFacts }> {
  const { jobs, databases } = environment;
  const artefact = context.artefact();
  const before = await withClient(access, 'admin', tablesOf);
  const expected = await pendingOf(context, 'expand', access, artefact);
  const { result: applied, seen } = await observe(context, { phase: 'expand', access, jobs, old }, () =>
    migrate(context, 'expand', { access, artefact, where: 'scratch', jobs }),
  );
  const extension = extensionOf(before, await withClient(access, 'admin', tablesOf));
  context.journal.append({ type: 'schema.extended', ...extension });
  // Seen before anything is published: a table of which nothing could flow back.
  const { found } = await withClient(await databases.of(live), 'admin', (source) =>
    withClient(access, 'admin', (copy) => findObstacles({ old: source, new: copy }, { old: live, new: 'the copy' })),
  );
  return { facts: { expected, applied, ...(await look(context, access)), obstacles: found }, seen };
}

async function contract(
  context: ReleaseContext,
  { access, environment: { jobs } }: Copy,
  old: Artefact,
): Promise<RehearsalFacts & { seen?: EffectFacts }> {
  const artefact = context.artefact();
  const expected = await pendingOf(context, 'contract', access, artefact);
  if (expected.length === 0) return { expected, applied: [], ...(await look(context, access)) };
  const { result: applied, seen } = await observe(context, { phase: 'contract', access, jobs, old }, () =>
    migrate(context, 'contract', { access, artefact, where: 'scratch', jobs }),
  );
  return { expected, applied, ...(await look(context, access)), seen };
}

/** What the definition accepts of what is seen on the copy: of the version that it is about. */
const acceptedOn = ({ definition: { application } }: ReleaseContext): EffectAcceptance[] =>
  application.migrations.accept.flatMap(({ object, rule, reason }) =>
    object === undefined ? [] : [{ object, rule, reason }],
  );

async function look(
  { definition }: ReleaseContext,
  access: DatabaseAccess,
): Promise<Pick<RehearsalFacts, 'relations' | 'invariants'>> {
  const invariants = await checkInvariants(
    access,
    definition.data.invariants,
    definition.data.limits.invariantSeconds * 1000,
  );
  const relations = await withClient(access, 'admin', countRelations);
  return { relations, invariants };
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
