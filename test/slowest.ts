/** Files that take longest alone, the longest first: started early, none of them is the one that all others wait for. */
export const slowest: string[] = [
  'test/integration/worlds/worlds.test.ts',
  'test/integration/automation/release/steps/traffic/fresh-reads.test.ts',
  'test/integration/automation/release/stages/remade-way-back.test.ts',
  'test/e2e/release.test.ts',
  'test/integration/infra/aws/cutover-crash.test.ts',
  'test/integration/infra/aws/stacks/programs.test.ts',
  'test/integration/infra/aws/runtime/router/router.test.ts',
  'test/integration/automation/data/replication/seed.test.ts',
  'test/integration/automation/data/cutover/settles.test.ts',
  'test/integration/automation/release/settle.test.ts',
  'test/integration/automation/release/stages/way-back.test.ts',
  'test/integration/automation/data/replication/conflict.test.ts',
  'test/integration/infra/aws/runtime/engine/state.test.ts',
  'test/integration/automation/data/migrations/migrations.test.ts',
  'test/integration/automation/data/copying/refusals.test.ts',
  'test/integration/automation/data/cutover/versions.test.ts',
];
