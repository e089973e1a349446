import { z } from 'zod';
import { platformNames, type PlatformName } from '../../infra/model.ts';
import * as rule from './rules.ts';
import { noLocalVariables, templatesAreKnown } from './variable-rules.ts';
import { fitsAws, aws } from './schema-aws.ts';
import { expiry, name, seconds, share, timeOfDay, timeZone, webUrl } from './scalars.ts';
import { application } from './schema-application.ts';
import { environments } from './schema-environments.ts';
import { load, security, synthetic, tests } from './schema-checks.ts';
import { data } from './schema-data.ts';

/**
 * The schema of a release definition, with `schema-*.ts`. Types, defaults, messages and the documentation of every key
 * come from it. Unknown keys are errors.
 */

const slo = z
  .strictObject({
    errorRate: share.default(0.001).describe('share of 5xx answers that is acceptable'),
    p95Ms: z.number().positive().default(500).describe('95 of 100 requests are answered within'),
  })
  .prefault({})
  .describe('service level objectives: canary and bake time are judged by them');

const canary = z
  .strictObject({
    steps: z
      .array(z.number().int().min(1).max(99))
      .superRefine(rule.stepsAscend, rule.evenIfBroken)
      .default([10, 50])
      .describe('percent of reads on the new colour; []: no canary, so the cutover brings it its first users'),
    stepSeconds: seconds(20).describe('length of a step'),
    minRequests: z.number().int().min(1).default(50).describe('per colour and step; fewer is inconclusive'),
    maxP95Ratio: z
      .number()
      .min(1)
      .max(100)
      .default(2)
      .describe("highest ratio of the new colour's p95 to the live colour's"),
    noticeableMs: z
      .number()
      .min(0)
      .max(60_000)
      .default(50)
      .describe('a p95 that is higher by less than this (milliseconds) is no regression, whatever the ratio'),
  })
  .prefault({})
  .describe('how reads are moved to the new colour');

const cutover = z
  .strictObject({
    holdMs: z
      .number()
      .int()
      .min(50)
      .max(10_000)
      .default(2000)
      .describe('longest time that writes may be held; the cutover aborts when it passes'),
    drainMs: z
      .number()
      .int()
      .min(50)
      .max(10_000)
      .default(1000)
      .describe('longest wait for writes in flight, within holdMs'),
    longConnectionsSeconds: z
      .number()
      .int()
      .min(0)
      .max(3600)
      .default(30)
      .describe(
        'after the switch, longest time for which an event stream or another long answer may stay with the colour that is left; WebSockets are ended at once, as their clients have to connect to the colour that may write (platform local)',
      ),
  })
  .superRefine(rule.drainFitsHold, rule.evenIfBroken)
  .prefault({})
  .describe('limits of the switch of writes');

const bake = z
  .strictObject({
    seconds: seconds(30, 604_800).describe('how long the new colour is watched while a rollback is possible'),
    oldColour: z
      .enum(['release', 'keep-warm'])
      .default('release')
      .describe('release: take the old colour down after the bake time; keep-warm: leave it running'),
    brokenWayBack: z
      .enum(['roll-back', 'stay'])
      .default('roll-back')
      .describe(
        'where the old schema cannot hold a change, or the old database is lost and cannot be made anew. roll-back: back at once, as what is written afterwards cannot go back; stay: the new version stays, without a way back',
      ),
  })
  .prefault({})
  .describe('after the cutover');

const window = z
  .strictObject({
    days: z
      .array(z.enum(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']))
      .min(1)
      .superRefine(rule.uniqueValues, rule.evenIfBroken)
      .meta({ description: 'days on which the window opens', examples: [['tue', 'wed', 'thu']] }),
    from: timeOfDay.meta({ description: 'time at which the window opens', examples: ['22:00'] }),
    to: timeOfDay.meta({
      description: 'time at which the window closes; earlier than from: on the next day',
      examples: ['05:00'],
    }),
    timeZone: timeZone.meta({ description: 'IANA name of the time zone', examples: ['Europe/Berlin'] }),
  })
  .superRefine(rule.windowIsOpen, rule.evenIfBroken);

const receiver = z.strictObject({
  name: name.meta({ description: 'unique name', examples: ['on-call'] }),
  webhook: webUrl.meta({ description: 'gets alerts by POST', examples: ['https://alerts.example.com/hook'] }),
});

const waiver = z.strictObject({
  gate: z
    .string()
    .min(1)
    .meta({ description: "the gate's id as the report shows it", examples: ['capacity'] }),
  reason: z
    .string()
    .min(10, 'say why in at least ten characters')
    .meta({
      description: 'why the release may go on although the gate does not pass',
      examples: ['capacity is doubled next week'],
    }),
  by: z
    .string()
    .min(1)
    .meta({ description: 'who decided', examples: ['product owner'] }),
  expires: expiry.meta({ description: 'last day (UTC) on which the waiver is valid', examples: ['2099-12-31'] }),
});

/** Rules that apply only to one platform. */
type Fits = (
  definition: Parameters<typeof fitsAws>[0] & Parameters<typeof noLocalVariables>[0],
  ctx: rule.Context,
) => void;
const fits: Record<PlatformName, Fits> = { local: noLocalVariables, aws: fitsAws };

/** Keys and types. `releaseDefinition` adds the rules between sections. */
const sections = z.strictObject({
  platform: z
    .enum(platformNames)
    .default('local')
    .describe('local: real processes on this machine; aws: ECS, ALB and RDS'),
  aws: aws.optional().describe('accounts, sizes and names on AWS; needed where the platform is aws'),
  application,
  environments,
  tests,
  load,
  synthetic,
  security,
  data,
  slo,
  canary,
  cutover,
  bake,
  window: window.optional().describe('when a release of production may start; leave it out for any time'),
  approval: z
    .enum(['ask', 'auto'])
    .default('ask')
    .describe('ask: a person approves; auto: approved if every gate passes'),
  alerts: z
    .strictObject({
      receivers: z
        .array(receiver)
        .superRefine(rule.uniqueNames, rule.evenIfBroken)
        .default([])
        .describe('who gets alerts'),
    })
    .prefault({})
    .describe('receivers of alerts'),
  announcements: z
    .strictObject({
      webhook: webUrl
        .optional()
        .meta({ description: 'gets announcements by POST', examples: ['https://chat.example.com/hook'] }),
      expectedDowntime: z.string().default('none').describe('downtime that announcements tell users to expect'),
    })
    .prefault({})
    .describe('announcements of the begin and the end of a release'),
  waivers: z
    .array(waiver)
    .superRefine(rule.uniqueWaivers, rule.evenIfBroken)
    .default([])
    .describe('gates that may fail until a date'),
});

export const releaseDefinition = sections
  .superRefine(rule.sectionsAgree, rule.evenIfBroken)
  .superRefine(templatesAreKnown, rule.evenIfBroken)
  .superRefine((definition, ctx) => fits[definition.platform]?.(definition, ctx), rule.evenIfBroken);

export type ReleaseDefinitionInput = z.input<typeof sections>;
export type ReleaseDefinition = z.output<typeof sections>;
