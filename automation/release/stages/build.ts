import { databaseUrl } from '../../../infra/application/database-url.ts';
import { grantWrites } from '../../../infra/application/roles.ts';
import { withClient } from '../../data/connect.ts';
import { testsGate } from '../../gates/tests/tests.ts';
import { buildVersion } from '../steps/build-version.ts';
import { provide, type ReleaseContext } from '../context/context.ts';
import { migrate } from '../steps/data/migrate.ts';
import type { Stage } from '../context/stage.ts';

/** The version becomes an artefact, and its own unit and integration tests pass on exactly that artefact. */
export const build: Stage = {
  id: 'build',
  title: 'Build and test',

  plan: ({ definition, to }) => ({
    steps: [
      `build ${to.version}: ${definition.application.build.command.join(' ')}`,
      'store it by the digest of its content',
    ],
    gates: { 'unit-tests': 'Unit tests', 'integration-tests': 'Integration tests, on a scratch database' },
    workMs: 12_000,
    observationMs: 0,
  }),

  async apply(context) {
    const { definition, platform, to, signal, journal } = context;
    const started = performance.now();
    const built = await context.act('build', `build ${to.version}`, () =>
      buildVersion(definition, platform, to.version, signal),
    );
    journal.append({ type: 'artefact.built', ...built, ms: Math.round(performance.now() - started) });
    // Tests run where scratch databases can be had: beside staging, never beside production.
    await context.up('staging', { kind: 'foundation', spec: context.spec('staging') });
    // Where it cannot be made to run, that is said once, and not by every test.
    await provide(context, 'staging', context.artefact());
    await runTests(context);
  },

  async verify(context) {
    const { digest } = context.artefact();
    return (await context.platform.artefacts.find(digest)) === undefined
      ? `artefact ${digest} is not stored`
      : undefined;
  },

  // An artefact changes nothing that runs.
  undo: () => Promise.resolve(undefined),
};

async function runTests(context: ReleaseContext): Promise<void> {
  const { definition } = context;
  const artefact = context.artefact();
  const { jobs, databases } = await context.connect('staging');
  const gate = (id: 'unit' | 'integration', env: Record<string, string>) =>
    testsGate({
      id: `${id}-tests`,
      title: `${id === 'unit' ? 'Unit' : 'Integration'} tests of ${artefact.version}`,
      jobs,
      artefact,
      command: definition.tests[id].command,
      env,
      timeoutMs: definition.tests[id].timeoutSeconds * 1000,
    });

  await context.gates([gate('unit', {})]);
  const scratch = await context.act('scratch', 'make a scratch database', () => databases.scratch('integration-tests'));
  try {
    await migrate(context, 'expand', { access: scratch.access, artefact, where: 'scratch', jobs });
    await withClient(scratch.access, 'admin', (client) => client.query(grantWrites));
    await context.gates([gate('integration', { DATABASE_URL: databaseUrl(scratch.access, 'app') })]);
  } finally {
    await scratch.dispose();
  }
}
