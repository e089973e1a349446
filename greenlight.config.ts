import { defineRelease } from './automation/config/define.ts';

/**
 * Release definition of the sample application, Think in Coin: all that Greenlight knows about it. Take it as the
 * example for your own. Keys that are left out have the defaults that `automation/config/schema.ts` describes.
 */
export default defineRelease({
  // Real processes on this machine. With `--platform aws` the same release runs on AWS: `aws`, at the end, says where.
  platform: 'local',

  application: {
    name: 'think-in-coin',
    // What is released, and what an empty production gets first, so that there is something to go live over.
    version: '2.0.0',
    baseline: '1.0.0',

    // Writes everything that runs into $GREENLIGHT_OUT: services, migrations, pages, and the version's own tests.
    build: { command: ['node', 'examples/think-in-coin/build.ts'], timeoutSeconds: 60 },

    // Released as one unit, two instances of each per colour, so that the loss of one is no outage.
    services: [
      { name: 'web', start: ['node', 'web.mjs'], routes: ['/'], instances: 2 },
      { name: 'api', start: ['node', 'api.mjs'], routes: ['/api'], instances: 2, database: true },
    ],

    // Expand files run on the new colour while it is being kept in step; those named here only after the bake time.
    migrations: { directory: 'migrations', contract: ['009_2.0.0_contract.sql'] },

    // No `url`: the stand-in answers, and says so. Give the real feed's URL where there is one.
    integrations: [
      {
        name: 'price-feed',
        env: 'PRICE_FEED_URL',
        standIn: ['node', 'examples/think-in-coin/stand-ins/price-feed.ts'],
      },
    ],

    // GET and HEAD only read here, and every other method writes: that is the default.
    writes: { paths: [] },
  },

  environments: {
    // The same components as production, one instance of each, less data.
    staging: { instances: { web: 1, api: 1 }, seed: ['node', 'seed.mjs', '2000'] },
    // Made-up users, as this production has none of its own. Remove it where there are real ones.
    production: { seed: ['node', 'seed.mjs', '20000'] },
  },

  tests: {
    unit: {
      command: ['node', '--test', '--test-reporter=junit', '--test-reporter-destination={results}', 'tests/unit.mjs'],
      timeoutSeconds: 60,
    },
    integration: {
      command: [
        'node',
        '--test',
        '--test-reporter=junit',
        '--test-reporter-destination={results}',
        'tests/integration.mjs',
      ],
      timeoutSeconds: 120,
    },
    acceptance: {
      command: [
        'node',
        '--test',
        '--test-reporter=junit',
        '--test-reporter-destination={results}',
        'tests/acceptance.mjs',
      ],
      timeoutSeconds: 120,
    },
    smoke: {
      command: ['node', '--test', '--test-reporter=junit', '--test-reporter-destination={results}', 'tests/smoke.mjs'],
      timeoutSeconds: 60,
    },
  },

  // A learner's visit, at the peak that is expected on an evening. Capacity for half as much again is wanted.
  load: {
    script: 'loadtests/journey.ts',
    requestsPerSecond: 100,
    durationSeconds: 20,
    growth: 1.5,
    thresholds: { p95Ms: 300, p99Ms: 800, errorRate: 0.001 },
  },

  // The same visit, marked, goes through production during the whole release: nothing of it may fail or get lost.
  synthetic: { script: 'loadtests/journey.ts', requestsPerSecond: 200 },

  security: {
    scanner: 'auto',
    maxSeconds: 60,
    failOn: 'medium',
    startPaths: ['/'],
    authentication: {
      protectedPaths: ['/api/account', '/api/progress', '/api/preferences', '/api/chat'],
      loginPath: '/api/login',
      loginBody: { email: 'nobody@synthetic.invalid', password: 'surely not this one' },
      // The sixth wrong login within a minute is answered with 429.
      maxAttempts: 6,
    },
    acceptedRisks: [],
  },

  data: {
    // Each returns what is wrong. They use only what every released version has.
    invariants: [
      {
        name: 'best-score-is-of-an-event',
        sql: `select p.account_id, p.lesson_id, p.best_score, e.best from progress p
              left join (select account_id, lesson_id, max(score) as best from progress_events group by 1, 2) e
              using (account_id, lesson_id) where e.best is distinct from p.best_score`,
      },
      {
        // An increment that is lost or made twice, which no count of rows shows.
        name: 'attempts-are-of-events',
        sql: `select p.account_id, p.lesson_id, p.attempts, e.answers from progress p
              full join (select account_id, lesson_id, count(*) as answers from progress_events group by 1, 2) e
              using (account_id, lesson_id) where e.answers is distinct from p.attempts`,
      },
      {
        name: 'every-question-has-an-answer',
        sql: `select account_id from chat_messages group by account_id
              having count(*) filter (where author = 'learner') <> count(*) filter (where author = 'coach')`,
      },
      {
        name: 'every-account-has-preferences',
        sql: `select a.id from accounts a left join preferences p on p.account_id = a.id where p.account_id is null`,
      },
      {
        // Foreign keys are not checked for rows that arrive by replication; an erasure must not leave any behind.
        name: 'nothing-is-left-of-nobody',
        sql: `select t.what, t.account_id from (
                select 'progress' as what, account_id from progress
                union all select 'progress_events', account_id from progress_events
                union all select 'preferences', account_id from preferences
                union all select 'preference_changes', account_id from preference_changes
                union all select 'chat_messages', account_id from chat_messages
                union all select 'sessions', account_id from sessions) t
              where not exists (select from accounts a where a.id = t.account_id)`,
      },
      {
        name: 'lessons-have-a-right-answer',
        sql: `select id from lessons where correct not between 0 and cardinality(options) - 1`,
      },
    ],

    // Masked wherever data leaves production. Session tokens are stored as hashes and need no mask. A column that looks
    // personal and is not belongs in `harmless`, with a reason: there is none here.
    personal: [
      { table: 'accounts', column: 'email', with: 'email' },
      { table: 'accounts', column: 'name', with: 'name' },
      { table: 'accounts', column: 'password_hash', with: 'hash' },
      { table: 'chat_messages', column: 'body', with: 'text' },
      { table: 'login_attempts', column: 'scope', with: 'hash' },
      { table: 'login_attempts', column: 'email_hash', with: 'hash' },
    ],

    // Every write of the journey carries a key of its own: this says how often each has arrived.
    ledger: {
      sql: `select key, count(*)::int as copies from (
              select key from progress_events where key = any($1)
              union all select key from chat_messages where key = any($1)
              union all select key from preference_changes where key = any($1)) written
            group by key`,
      // Each answer to a lesson also increments a row: an increment that is overwritten shows in no count of keys.
      counters: `select email || ' ' || lesson_id as counter, attempts as value
                 from progress join accounts on id = account_id where email || ' ' || lesson_id = any($1)`,
    },
    maxLagSeconds: 5,
    // What takes longer ends the release. A large database needs more.
    limits: { restoreSeconds: 900, backupAgeSeconds: 300, copySeconds: 3600, invariantSeconds: 60 },
    backupRetention: 7,
  },

  // What users may expect; canary and bake time are judged by it.
  slo: { errorRate: 0.001, p95Ms: 500 },

  // Short steps, as 100 requests a second give enough to judge by. Take minutes where users are fewer.
  canary: { steps: [10, 50], stepSeconds: 15, minRequests: 50, maxP95Ratio: 2 },

  cutover: { holdMs: 2000, drainMs: 1000 },

  // The way back stays open for so long. Hours or days for an application that people live by.
  bake: { seconds: 30, oldColour: 'release' },

  // A demonstration has nobody to ask. Leave it out, and a person is asked once every gate has passed.
  approval: 'auto',

  announcements: { expectedDowntime: 'none' },

  // An example account and example names. `npm run release -- --platform aws --dry-run` shows what would be made there, and
  // what it costs, without any credentials. See docs/aws.md.
  aws: {
    accountId: '123456789012',
    region: 'eu-central-1',
    backupRegion: 'eu-west-1',
    availabilityZones: ['eu-central-1a', 'eu-central-1b'],
    hostedZoneId: 'Z0123456789ABC',
    domains: { staging: 'staging.coin.example.org', production: 'coin.example.org' },
    owner: 'team-learning',
    state: { bucket: 'example-greenlight-state', key: 'alias/greenlight-state' },
    tasks: { cpu: 512, memory: 1024, max: 8, architecture: 'X86_64' },
    database: { version: '17.6', instanceClass: 'db.t4g.small', storage: 20, maxStorage: 100 },
    image: { dockerfile: 'examples/think-in-coin/Dockerfile' },
    monthlyBudget: 500,
    // Tasks cannot reach the stand-in above.
    integrations: { 'price-feed': 'https://prices.example.org' },
  },
});
