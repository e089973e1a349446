import type { Artefact } from '../../../../infra/model.ts';
import { grantWrites } from '../../../../infra/application/roles.ts';
import { secrets } from '../../../../infra/lib/redact.ts';
import type { DatabaseAccess } from '../../../../infra/platform/databases.ts';
import type { Environment } from '../../../../infra/platform/environment.ts';
import type { Preview } from '../../../../infra/platform/jobs.ts';
import { countRelations } from '../../../data/catalog.ts';
import { checkInvariants } from '../../../data/comparison/invariants.ts';
import { withClient } from '../../../data/connect.ts';
import type { EffectAcceptance } from '../../../gates/data/effects.ts';
import type { RehearsalFacts } from '../../../gates/data/rehearsal.ts';
import type { Gate } from '../../../journal/verdict.ts';
import type { ReleaseContext } from '../../context/context.ts';
import { testsOrRoutes } from '../own-tests.ts';

/** What the parts of the rehearsal share. */

/** Where the rehearsal happens: a copy of the real data, and what serves a version on it. */
export interface Copy {
  access: DatabaseAccess;
  environment: Environment;
}

export const copyOf = async ({ connect }: ReleaseContext, access: DatabaseAccess): Promise<Copy> => ({
  access,
  environment: await connect(),
});

/** What the definition accepts of what is seen on the copy: of the version that it is about. */
export const acceptedOn = ({ definition: { application } }: ReleaseContext): EffectAcceptance[] =>
  (application.migrations?.accept ?? []).flatMap(({ object, rule, reason }) =>
    object === undefined ? [] : [{ object, rule, reason }],
  );

export async function look(
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

/** Versions are tried there with writes. */
export const letWrite = (access: DatabaseAccess): Promise<unknown> =>
  withClient(access, 'admin', (client) => client.query(grantWrites));

/** Serves a version on the copy for as long as `work` takes. */
export async function serving<T>(
  context: ReleaseContext,
  { access, environment: { previews } }: Copy,
  artefact: Artefact,
  id: string,
  work: (preview: Preview) => Promise<T>,
): Promise<T> {
  const preview = await context.act(id, `start ${artefact.version} on the copy`, () =>
    previews.serve(artefact, access),
  );
  for (const value of Object.values(preview.routeHeaders)) secrets.register(value);
  try {
    return await work(preview);
  } finally {
    await preview.dispose();
  }
}

/** Serves a version on the copy for the time in which its acceptance tests are judged, or its routes where it has none. */
export const onTheCopy = <T>(
  context: ReleaseContext,
  copy: Copy,
  artefact: Artefact,
  id: string,
  title: string,
  judge: (gate: Gate) => Promise<T>,
): Promise<T> =>
  serving(context, copy, artefact, id, (preview) =>
    judge(
      testsOrRoutes(context.definition, 'acceptance', {
        id,
        title,
        jobs: copy.environment.jobs,
        artefact,
        target: preview,
      }),
    ),
  );
