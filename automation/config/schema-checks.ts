import { z } from 'zod';
import * as rule from './rules.ts';
import { argv, expiry, relativePath, seconds, share, urlPath } from './scalars.ts';

/** Tests, load, synthetic traffic and security checks. */

const testCommand = (example: string, description: string) =>
  z
    .strictObject({
      command: argv.meta({
        description: 'run in the artefact directory; {results} is replaced by the path of the JUnit XML to write',
        examples: [['node', 'tests/run.js', example, '{results}']],
      }),
      timeoutSeconds: seconds(120).describe('longest duration of the tests'),
    })
    .describe(description);

export const tests = z
  .strictObject({
    unit: testCommand('unit', 'need nothing but the artefact'),
    integration: testCommand('integration', 'get DATABASE_URL of an empty, migrated scratch database'),
    acceptance: testCommand('acceptance', 'get BASE_URL of a running release, may write'),
    smoke: testCommand('smoke', 'get BASE_URL and ROUTE_HEADERS (JSON); only read'),
  })
  .describe("the version's own tests; they are part of the artefact");

export const load = z
  .strictObject({
    script: relativePath.meta({
      description: 'k6 script (TypeScript or JavaScript) of the user journey',
      examples: ['loadtests/journey.ts'],
    }),
    requestsPerSecond: z
      .number()
      .int()
      .min(1)
      .max(10_000)
      .meta({ description: 'expected peak', examples: [50] }),
    durationSeconds: seconds(30, 3600).describe('length of the load test'),
    segments: z
      .number()
      .int()
      .min(1)
      .max(64)
      .default(1)
      .describe(
        'number of k6 processes (on AWS: tasks) that share the load; more than 1 needs a script built on loadtests/lib',
      ),
    growth: z.number().min(1).max(10).default(1.5).describe('capacity wanted, as a multiple of the expected peak'),
    thresholds: z
      .strictObject({
        p95Ms: z
          .number()
          .positive()
          .meta({ description: '95 of 100 requests are answered within', examples: [300] }),
        p99Ms: z
          .number()
          .positive()
          .optional()
          .meta({ description: '99 of 100 within', examples: [800] }),
        errorRate: share.default(0.001).describe('share of requests that may fail'),
      })
      .superRefine(rule.percentilesAscend, rule.evenIfBroken)
      .describe('limits for the load test'),
  })
  .describe('load test of the new colour');

export const synthetic = z
  .strictObject({
    script: relativePath.meta({
      description: 'k6 script that sends marked traffic to production during a release',
      examples: ['loadtests/journey.ts'],
    }),
    requestsPerSecond: z
      .number()
      .int()
      .min(0)
      .max(1000)
      .default(50)
      .describe('0: no synthetic traffic, only that of real users; otherwise data.ledger is required'),
  })
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
