import { databaseUrl } from '../../../infra/application/database-url.ts';
import { grantWrites } from '../../../infra/application/roles.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { withClient } from '../../data/connect.ts';
import type { Gate } from '../../journal/verdict.ts';
import { provide, type ReleaseContext } from '../context/context.ts';
import type { Release } from '../context/release.ts';
import type { Stage } from '../context/stage.ts';
import { buildVersion, describeBuild } from '../steps/build-version.ts';
import { noTests, ownTests } from '../steps/own-tests.ts';
import { planned } from '../steps/qualification.ts';
import { judging } from '../steps/data/judge-migrations.ts';
import { migrateAtOnce } from '../steps/data/migrate.ts';

/** The version becomes an artefact, and its own unit and integration tests pass on exactly that artefact. */
export const build = (release: Release): Stage => ({
  id: 'build',
  title: 'Build and test',
  workMs: 12_000,
  observationMs: 0,

  steps: [
    {
      says: `build ${release.to.version}: ${describeBuild(release.definition.application.build, release.to.version)}; store it by the digest of its content`,
      do: buildArtefact,
    },
    ...judging(release),
    {
      // Tests run where scratch databases can be had: beside staging, never beside production.
      says: 'bring the foundation of staging up, and make the build ready to run there',
      async do(context) {
        await context.up('staging', { kind: 'foundation', spec: context.spec('staging') });
        // Where it cannot be made to run, that is said once, and not by every test.
        await provide(context, 'staging', context.artefact());
      },
    },
    {
      says: ran('run the unit tests', noTests(release.definition, 'unit')),
      gates: { 'unit-tests': planned('Unit tests', noTests(release.definition, 'unit')) },
      do: async (context) => context.gates([await testsOf(context, 'unit')]),
    },
    {
      says: ran('run the integration tests on a scratch database', noTests(release.definition, 'integration')),
      gates: {
        'integration-tests': planned(
          'Integration tests, on a scratch database',
          noTests(release.definition, 'integration'),
        ),
      },
      do: integrationTests,
    },
  ],

  async verify(context) {
    const { digest } = context.artefact();
    return (await context.platform.artefacts.find(digest)) === undefined
      ? `artefact ${digest} is not stored`
      : undefined;
  },
});

/** What a step says that does nothing where the definition has nothing for it. */
const ran = (says: string, why: string | undefined): string => (why === undefined ? says : `not run: ${why}`);

async function buildArtefact(context: ReleaseContext): Promise<void> {
  const { definition, platform, to, signal, journal } = context;
  const started = performance.now();
  const built = await context.act('build', `build ${to.version}`, () =>
    buildVersion(definition, platform, to.version, signal),
  );
  journal.append({ type: 'artefact.built', ...built, ms: Math.round(performance.now() - started) });
}

async function testsOf(context: ReleaseContext, id: 'unit' | 'integration', access?: DatabaseAccess): Promise<Gate> {
  const artefact = context.artefact();
  const { jobs } = await context.connect('staging');
  const title = `${id === 'unit' ? 'Unit' : 'Integration'} tests of ${artefact.version}`;
  return ownTests(context.definition, id, {
    id: `${id}-tests`,
    title,
    jobs,
    artefact,
    ...(access === undefined ? {} : loginOf(access)),
  });
}

const loginOf = (access: DatabaseAccess) => ({
  env: { DATABASE_URL: databaseUrl(access, 'app') },
  database: { access, role: 'app' as const },
});

async function integrationTests(context: ReleaseContext): Promise<void> {
  if (noTests(context.definition, 'integration') !== undefined) {
    await context.gates([await testsOf(context, 'integration')]);
    return;
  }
  const artefact = context.artefact();
  const { jobs, databases } = await context.connect('staging');
  const scratch = await context.act('scratch', 'make a scratch database', () => databases.scratch('integration-tests'));
  try {
    await migrateAtOnce(context, { access: scratch.access, artefact, where: 'scratch', jobs });
    await withClient(scratch.access, 'admin', (client) => client.query(grantWrites));
    await context.gates([await testsOf(context, 'integration', scratch.access)]);
  } finally {
    await scratch.dispose();
  }
}
