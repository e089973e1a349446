import type { ReleaseDefinitionInput } from '../../automation/config/schema.ts';

/** A definition with two services that is right; each test breaks its own copy. */
export const validDefinition = (): ReleaseDefinitionInput => ({
  application: {
    name: 'shop',
    version: '2.0.0',
    baseline: '1.0.0',
    build: { command: ['node', 'build.js'] },
    services: [
      { name: 'web', start: ['node', 'web.js'], routes: ['/'] },
      { name: 'api', start: ['node', 'api.js'], routes: ['/api'], database: true },
    ],
    migrations: { directory: 'migrations', contract: ['004_drop.sql'] },
    integrations: [{ name: 'payments', env: 'PAYMENTS_URL', standIn: ['node', 'payments.js'] }],
  },
  tests: {
    unit: { command: ['node', 'unit.js', '{results}'] },
    integration: { command: ['node', 'integration.js', '{results}'] },
    acceptance: { command: ['node', 'acceptance.js', '{results}'] },
    smoke: { command: ['node', 'smoke.js', '{results}'] },
  },
  load: { script: 'package.json', requestsPerSecond: 50, thresholds: { p95Ms: 300 } },
  synthetic: { script: 'package.json' },
  data: { ledger: { sql: 'SELECT key, count(*)::int AS copies FROM writes WHERE key = ANY($1) GROUP BY key' } },
});
