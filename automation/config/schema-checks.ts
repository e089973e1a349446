import { z } from 'zod';
import * as rule from './rules.ts';
import { argv, expiry, relativePath, seconds, share, urlPath } from './scalars.ts';

/** Tests, load, synthetic traffic and security checks. */

/** What says which tests a command ran. */
export const testFormats = ['junit', 'tap', 'exit-code'] as const;
export type TestFormat = (typeof testFormats)[number];

const testCommand = (example: string) =>
  z
    .strictObject({
      command: argv.meta({
        description:
          'run in the artefact directory; {results} is replaced by the path of the JUnit XML to write: a file, or a directory of them',
        examples: [['node', 'tests/run.js', example, '{results}']],
      }),
      timeoutSeconds: seconds(120).describe('longest duration of the tests'),
      format: z
        .enum(testFormats)
        .optional()
        .meta({
          description:
            'what says which tests ran: junit: JUnit XML; tap: TAP on the standard output; exit-code: nothing else, and then the gate says so; default: junit where the command has {results} or results is given, else exit-code',
          examples: ['junit'],
        }),
      results: relativePath
        .optional()
        .describe(
          'where a command without {results} writes its JUnit XML by itself, in its directory: a file, or a directory of them, such as target/surefire-reports; it runs in a copy of the artefact',
        ),
      writable: z
        .boolean()
        .default(false)
        .describe('true: the command writes into its directory, so it runs in a copy of the artefact'),
    })
    .superRefine(rule.resultsAreRead, rule.evenIfBroken);

const runningTests = (example: string) =>
  testCommand(example).safeExtend({
    forwarder: z
      .boolean()
      .default(false)
      .describe(
        'true: BASE_URL is http on this machine, and what is sent there goes to the release with the headers it needs; for tests that know nothing of ROUTE_HEADERS',
      ),
  });

export const tests = z
  .strictObject({
    unit: testCommand('unit').optional().describe('need nothing but the artefact'),
    integration: testCommand('integration')
      .optional()
      .describe('get DATABASE_URL of an empty, migrated scratch database'),
    acceptance: runningTests('acceptance').optional().describe('get BASE_URL of a running release, may write'),
    smoke: runningTests('smoke')
      .optional()
      .describe('get BASE_URL and ROUTE_HEADERS (JSON); only read; left out: Greenlight asks load.paths by GET'),
  })
  .prefault({})
  .describe("the version's own tests, part of the artefact; of a kind that is left out the report says that none ran");

export const load = z
  .strictObject({
    script: relativePath.optional().meta({
      description: 'k6 script (TypeScript or JavaScript) of the user journey; left out: load.paths are asked by GET',
      examples: ['loadtests/journey.ts'],
    }),
    paths: z
      .array(urlPath)
      .min(1)
      .superRefine(rule.uniqueValues, rule.evenIfBroken)
      .optional()
      .meta({
        description:
          'paths that are asked by GET where there is no script, and where there are no smoke tests; default: the routes of all services',
        examples: [['/', '/products']],
      }),
    requestsPerSecond: z.number().int().min(1).max(10_000).default(10).describe('expected peak'),
    durationSeconds: seconds(30, 3600).describe('length of the load test'),
    segments: z
      .number()
      .int()
      .min(1)
      .max(64)
      .default(1)
      .describe(
        'number of k6 processes (on AWS: tasks) that share the load; more than 1 needs a script built on loadtests/lib, or none',
      ),
    growth: z.number().min(1).max(10).default(1.5).describe('capacity wanted, as a multiple of the expected peak'),
    thresholds: z
      .strictObject({
        p95Ms: z.number().positive().default(500).describe('95 of 100 requests are answered within'),
        p99Ms: z
          .number()
          .positive()
          .optional()
          .meta({ description: '99 of 100 within', examples: [800] }),
        errorRate: share.default(0.001).describe('share of requests that may fail'),
      })
      .superRefine(rule.percentilesAscend, rule.evenIfBroken)
      .prefault({})
      .describe('limits for the load test'),
  })
  .prefault({})
  .describe('load test of the new colour');

export const synthetic = z
  .strictObject({
    script: relativePath.optional().meta({
      description:
        'k6 script that sends marked traffic to production during a release; left out: load.paths are asked by GET, so nothing is written',
      examples: ['loadtests/journey.ts'],
    }),
    requestsPerSecond: z
      .number()
      .int()
      .min(0)
      .max(1000)
      .default(50)
      .describe('0: no synthetic traffic, only that of real users; with a script data.ledger is required otherwise'),
  })
  .prefault({})
  .describe('traffic that Greenlight sends, so that a release is judged on enough requests');

const acceptedRisk = z.strictObject({
  rule: z
    .string()
    .min(1)
    .meta({ description: "the finding's rule as the scanner names it", examples: ['Cross Site Scripting'] }),
  path: z
    .string()
    .optional()
    .meta({ description: 'only on this path; default: everywhere', examples: ['/search'] }),
  reason: z
    .string()
    .min(10, 'say why in at least ten characters')
    .meta({ description: 'why it is accepted', examples: ['the page shows no data of users'] }),
  acceptedBy: z
    .string()
    .min(1)
    .meta({ description: 'who decided', examples: ['product owner'] }),
  expires: expiry.meta({ description: 'last day (UTC) on which it is accepted', examples: ['2099-12-31'] }),
});

export const security = z
  .strictObject({
    scanner: z
      .enum(['auto', 'zap', 'wapiti'])
      .default('auto')
      .describe('auto: ZAP if it is installed with its rules, otherwise Wapiti'),
    maxSeconds: seconds(60, 7200).describe('longest duration of the scan'),
    failOn: z
      .enum(['low', 'medium', 'high'])
      .default('medium')
      .describe('findings of this severity and above fail the gate'),
    acceptedRisks: z.array(acceptedRisk).default([]).describe('findings that do not fail the gate until a date'),
    startPaths: z.array(urlPath).default(['/']).describe('paths of the pages that the scan starts from'),
    authentication: z
      .strictObject({
        protectedPaths: z
          .array(urlPath)
          .min(1)
          .meta({
            description: 'paths that must answer 401 or 403 without a valid session',
            examples: [['/api/account']],
          }),
        loginPath: urlPath.meta({ description: 'path that a login is sent to', examples: ['/api/login'] }),
        loginBody: z.record(z.string(), z.string()).meta({
          description: 'a wrong login, sent as JSON',
          examples: [{ email: 'nobody@example.com', password: 'wrong' }],
        }),
        maxAttempts: z
          .number()
          .int()
          .min(3)
          .max(100)
          .default(10)
          .describe('number of wrong logins after which the answer must be 429'),
      })
      .optional()
      .describe('settings of the authentication gate'),
  })
  .prefault({})
  .describe('security scan');
