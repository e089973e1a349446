import type { Artefact } from '../../../../infra/model.ts';
import type { DatabaseAccess } from '../../../../infra/platform/databases.ts';
import { findObstacles } from '../../../data/publication/both-ways.ts';
import { tablesOf } from '../../../data/catalog.ts';
import { withClient } from '../../../data/connect.ts';
import { effectsTitle, migrationEffectsGate, type EffectFacts } from '../../../gates/data/effects.ts';
import { contractRehearsalGate, migrationRehearsalGate, type RehearsalFacts } from '../../../gates/data/rehearsal.ts';
import { allOf } from '../../../journal/entries.ts';
import type { JournalEntry } from '../../../journal/events.ts';
import type { ReleaseContext } from '../../context/context.ts';
import { readOnlyWindowOf, type LivePlacement, type Replacement } from '../../context/release.ts';
import type { Step } from '../../context/stage.ts';
import { extensionOf } from '../../../journal/extension.ts';
import { migrationEffectsGateId } from '../../../journal/migration-risks.ts';
import { migrate, pendingOf } from './migrate.ts';
import { observe } from './observe-migrations.ts';
import { acceptedOn, copyOf, letWrite, look, onTheCopy, type Copy } from './on-the-copy.ts';
import { rehearsingWindow, windowRehearsed } from './rehearse-window.ts';

const migrationsRehearsed = 'migration-rehearsal';

/**
 * Everything that a release does to the schema, in its order and on a copy of the real data: the expand migrations, the new version
 * with writes, the old version on the new schema, and at last the contract migrations and the new version on what they leave. With a
 * read-only window the old version comes first, as it is the last that sees the schema before the incompatible migrations, and the new
 * version has met no schema but theirs.
 */
export function rehearsing(
  release: Pick<Replacement, 'definition' | 'from' | 'kind' | 'to'>,
): readonly Step<DatabaseAccess>[] {
  const { colour, artefact: old } = release.from;
  const window = readOnlyWindowOf(release);
  const expanded: Step['when'] = ({ journal }) => migrated(journal.entries());
  const rehearsed: Step['when'] = ({ journal }) => migrated(journal.entries()) && windowRehearsed(journal.entries());
  const when = window === undefined ? expanded : rehearsed;
  const newVersion: Step<DatabaseAccess> = {
    says: 'try the new version there, with writes',
    gates: { 'rehearsal-acceptance': 'Acceptance tests of the new version there, with writes' },
    when,
    do: (context, access) => {
      const artefact = context.artefact();
      const title = `Acceptance of ${artefact.version} on a copy of the real data`;
      return tryOut(context, access, artefact, 'rehearsal-acceptance', title);
    },
  };
  const oldVersion: Step<DatabaseAccess> = {
    says: `try ${old.version} there, on the new schema`,
    gates: { compatibility: 'Acceptance tests of the old version on the new schema' },
    when: expanded,
    do: (context, access) =>
      tryOut(context, access, old, 'compatibility', `${old.version} on the schema of ${context.artefact().version}`),
  };
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
    ...(window === undefined
      ? [newVersion, oldVersion]
      : [oldVersion, rehearsingWindow(old, window, expanded), newVersion]),
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

/** The acceptance tests of a version on the copy, as a gate. */
async function tryOut(
  context: ReleaseContext,
  access: DatabaseAccess,
  artefact: Artefact,
  id: string,
  title: string,
): Promise<void> {
  await letWrite(access);
  await onTheCopy(context, await copyOf(context, access), artefact, id, title, (gate) => context.gates([gate]));
}

/** On a copy that the migrations failed on there is nothing more to try. */
const migrated = (entries: readonly JournalEntry[]): boolean =>
  allOf(entries, 'gate.judged').findLast(({ gate }) => gate.id === migrationsRehearsed)?.gate.verdict === 'pass';

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
