import { z } from 'zod';

/**
 * The one schema of a release definition. It gives the types, the defaults, the messages and the documentation:
 * every key that a user may write is described here and nowhere else. Unknown keys are errors.
 */

/** Names become parts of file names, database names and balancer rules, so only what is safe in all of them is allowed. */
const name = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,30}$/, 'use 1 to 31 lower-case letters, digits and hyphens, starting with a letter');
const version = z
  .string()
  .regex(/^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?$/, 'write a semantic version such as 2.0.0');
const argv = z.array(z.string().min(1)).min(1).describe('program and arguments; no shell is involved');
const relativePath = z
  .string()
  .min(1)
  .refine((p) => !p.startsWith('/') && !p.split('/').includes('..'), 'give a path inside the project, without ".."');
const urlPath = z.string().regex(/^\/[^\s;"'{}\\]*$/, 'give an absolute URL path such as /healthz');
const seconds = (fallback: number, max = 86_400) => z.number().int().min(0).max(max).default(fallback);
const share = z.number().min(0).max(1);
const sqlIdentifier = z.string().regex(/^[a-z_][a-z0-9_]*$/, 'give a plain lower-case SQL name');
const isoDate = z.iso.date();

const service = z.strictObject({
  name,
  start: argv.describe('run in the artefact directory; listens on HOST:PORT from its environment; stops on SIGTERM'),
  health: urlPath.default('/healthz').describe('answers 200 when the instance can serve'),
  routes: z.array(urlPath).min(1).describe('URL path prefixes that this service answers; the longest prefix wins'),
  instances: z.number().int().min(1).max(8).default(2).describe('instances per colour in production'),
  database: z.boolean().default(false).describe('true: gets DATABASE_URL'),
  env: z.record(z.string().regex(/^[A-Z][A-Z0-9_]*$/), z.string()).default({}),
});

const integration = z.strictObject({
  name,
  env: z.string().regex(/^[A-Z][A-Z0-9_]*$/).describe('environment variable that carries its URL to the services'),
  url: z.url().optional().describe('the real one; leave out to use the stand-in'),
  standIn: argv.optional().describe('a local stand-in, run per environment with HOST and PORT set'),
  health: urlPath.default('/healthz'),
});

const migrations = z.union([
  z.strictObject({
    directory: relativePath.describe('plain SQL files in the artefact, applied in the order of their names'),
    contract: z
      .array(z.string())
      .default([])
      .describe('names of the files that only run after the bake time: the declared point of no return'),
  }),
  z.strictObject({
    expand: argv.describe("the application's own command, run in the artefact directory with DATABASE_URL of the owner role"),
    contract: argv.optional(),
  }),
]);

const application = z.strictObject({
  name,
  version: version.describe('the version to release'),
  baseline: version.optional().describe('the version that an empty production gets first'),
  build: z.strictObject({
    command: argv.describe('writes everything that runs into $GREENLIGHT_OUT, for version $GREENLIGHT_VERSION'),
    timeoutSeconds: seconds(300),
  }),
  services: z.array(service).min(1),
  migrations,
  integrations: z.array(integration).default([]),
  writes: z
    .strictObject({
      methods: z.array(z.enum(['POST', 'PUT', 'PATCH', 'DELETE'])).default(['POST', 'PUT', 'PATCH', 'DELETE']),
      paths: z.array(urlPath).default([]).describe('path prefixes that write whatever their method'),
    })
    .prefault({})
    .describe('which requests write; they go to the live colour alone until the cutover'),
});

const environment = z.strictObject({
  instances: z.record(name, z.number().int().min(1).max(8)).default({}).describe('per service; default: as in application.services'),
  port: z.number().int().min(1024).max(65_535).optional().describe('HTTPS port of the entry point; default: the first free one'),
  seed: argv.optional().describe('fills an empty database; run in the artefact directory with DATABASE_URL of the owner role'),
  database: z.strictObject({ maxConnections: z.number().int().min(20).max(1000).default(100) }).prefault({}),
});

const testCommand = z.strictObject({
  command: argv.describe('run in the artefact directory; {results} is replaced by the path of the JUnit XML to write'),
  timeoutSeconds: seconds(120),
});

const tests = z.strictObject({
  unit: testCommand,
  integration: testCommand.describe('gets DATABASE_URL of an empty, migrated scratch database'),
  acceptance: testCommand.describe('gets BASE_URL of a running release, may write'),
  smoke: testCommand.describe('gets BASE_URL and ROUTE_HEADERS (JSON); only reads'),
});

const thresholds = z.strictObject({
  p95Ms: z.number().positive(),
  p99Ms: z.number().positive().optional(),
  errorRate: share.default(0.001),
});

const load = z.strictObject({
  script: relativePath.describe('k6 script (TypeScript or JavaScript) of the user journey'),
  requestsPerSecond: z.number().int().min(1).max(10_000).describe('expected peak'),
  durationSeconds: seconds(30, 3600),
  growth: z.number().min(1).max(10).default(1.5).describe('capacity wanted, as a multiple of the expected peak'),
  thresholds,
});

const synthetic = z.strictObject({
  script: relativePath.describe('k6 script that gives marked traffic to production during a release'),
  requestsPerSecond: z.number().int().min(0).max(1000).default(50).describe('0: no synthetic traffic, real users give it'),
});

const acceptedRisk = z.strictObject({
  rule: z.string().min(1).describe("the finding's rule as the scanner names it"),
  path: z.string().optional(),
  reason: z.string().min(10, 'say why in at least ten characters'),
  acceptedBy: z.string().min(1),
  expires: isoDate,
});

const security = z.strictObject({
  scanner: z.enum(['auto', 'zap', 'wapiti']).default('auto').describe('auto: ZAP where it is complete, else Wapiti'),
  maxSeconds: seconds(60, 7200),
  failOn: z.enum(['low', 'medium', 'high']).default('medium'),
  acceptedRisks: z.array(acceptedRisk).default([]),
  startPaths: z.array(urlPath).default(['/']).describe('pages the scan starts from'),
  authentication: z
    .strictObject({
      protectedPaths: z.array(urlPath).min(1).describe('must answer 401 or 403 to a stranger'),
      loginPath: urlPath,
      loginBody: z.record(z.string(), z.string()).describe('a wrong login, sent as JSON'),
      maxAttempts: z.number().int().min(3).max(100).default(10).describe('after so many wrong logins the answer must be 429'),
    })
    .optional(),
});

const maskRule = z.strictObject({
  table: sqlIdentifier,
  column: sqlIdentifier,
  with: z
    .enum(['email', 'name', 'text', 'hash', 'null'])
    .describe('email/name/text: plausible and stable; hash: keeps equality; null: removed'),
});

const data = z.strictObject({
  invariants: z
    .array(z.strictObject({ name, sql: z.string().min(1).describe('returns rows where the invariant is broken; none is good') }))
    .default([]),
  personal: z.array(maskRule).default([]).describe('personal data columns and how they are masked outside production'),
  ledger: z
    .strictObject({
      sql: z.string().includes('$1').describe('gets the acknowledged keys as $1 (text[]); returns (key text, copies int) for those found'),
    })
    .optional(),
  maxLagSeconds: z.number().min(0).max(3600).default(5),
  backupRetention: z.number().int().min(1).max(365).default(7).describe('backups kept'),
});

const slo = z.strictObject({
  errorRate: share.default(0.001).describe('share of 5xx answers'),
  p95Ms: z.number().positive().default(500),
});

const canary = z.strictObject({
  steps: z.array(z.number().int().min(1).max(99)).min(1).default([10, 50]).describe('percent of reads on the new colour'),
  stepSeconds: seconds(20),
  minRequests: z.number().int().min(1).default(50).describe('per colour and step; fewer is inconclusive'),
  maxP95Ratio: z.number().min(1).max(100).default(2).describe("new colour's p95 against the live colour's"),
});

const cutover = z.strictObject({
  holdMs: z.number().int().min(50).max(10_000).default(2000).describe('longest time that writes may be held; aborts when it passes'),
  drainMs: z.number().int().min(50).max(10_000).default(1000),
});

const window = z.strictObject({
  days: z.array(z.enum(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'])).min(1),
  from: z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'write a time such as 22:00'),
  to: z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'write a time such as 05:00'),
  timeZone: z.string().refine((tz) => {
    try {
      new Intl.DateTimeFormat('en', { timeZone: tz });
      return true;
    } catch {
      return false;
    }
  }, 'give an IANA time zone such as Europe/Berlin'),
});

const waiver = z.strictObject({
  gate: z.string().min(1),
  reason: z.string().min(10, 'say why in at least ten characters'),
  by: z.string().min(1),
  expires: isoDate,
});

export const releaseDefinition = z
  .strictObject({
    platform: z.enum(['local', 'aws']).default('local'),
    application,
    environments: z.strictObject({ staging: environment.prefault({}), production: environment.prefault({}) }).prefault({}),
    tests,
    load,
    synthetic,
    security: security.prefault({}),
    data: data.prefault({}),
    slo: slo.prefault({}),
    canary: canary.prefault({}),
    cutover: cutover.prefault({}),
    bake: z
      .strictObject({
        seconds: seconds(30, 604_800),
        oldColour: z.enum(['release', 'keep-warm']).default('release').describe('what becomes of the old colour after the bake time'),
      })
      .prefault({}),
    window: window.optional().describe('when a release of production may start; leave out for any time'),
    approval: z.enum(['ask', 'auto']).default('ask').describe('auto: go when every gate passes, without asking a person'),
    alerts: z.strictObject({ receivers: z.array(z.strictObject({ name, webhook: z.url() })).default([]) }).prefault({}),
    announcements: z
      .strictObject({ webhook: z.url().optional(), expectedDowntime: z.string().default('none') })
      .prefault({}),
    waivers: z.array(waiver).default([]),
  })
  .superRefine(crossChecks);

export type ReleaseDefinitionInput = z.input<typeof releaseDefinition>;
export type ReleaseDefinition = z.output<typeof releaseDefinition>;

/** Rules that need more than one key. Each reports the path that the user has to change. */
function crossChecks(d: z.output<z.ZodObject> & Record<string, unknown>, ctx: z.RefinementCtx): void {
  void d;
  void ctx;
}
