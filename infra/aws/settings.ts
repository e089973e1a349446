import * as pulumi from '@pulumi/pulumi';
import { z } from 'zod';

/** Key of the stack configuration that holds the settings, JSON: `greenlight:aws`. The same in all stacks of an environment. */
export const awsSettingsKey = 'aws';

const region = z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'a region looks like eu-central-1');

/** Scaling at known times, before the load comes: cron expression of Application Auto Scaling, in `timeZone`. */
const schedule = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]*$/),
  cron: z.string().startsWith('cron('),
  timeZone: z.string(),
  minTasks: z.number().int().min(2),
});

/** What an environment on AWS needs to know beside the release definition. */
export const awsSettingsSchema = z
  .strictObject({
    /** The programs refuse any other account, before they change anything. */
    accountId: z.string().regex(/^\d{12}$/, 'an account id has 12 digits'),
    region,
    /** Backups are copied there. */
    backupRegion: region,
    availabilityZones: z.array(z.string()).min(2, 'two zones at least, so that the loss of one is no outage'),
    /** Hosted zone of Route 53 in which the names of the entry point and its certificate are made. */
    hostedZoneId: z.string().regex(/^Z[A-Z0-9]+$/, 'a hosted zone id looks like Z0123456789ABC'),
    /** Name of the entry point, in the hosted zone. */
    domain: z.string().regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/),
    /** Who answers for the resources: value of the tag `owner`. */
    owner: z.string().min(1),
    cidrBlock: z.string().default('10.0.0.0/16'),
    tasks: z.strictObject({
      /** CPU units, 1024 is one vCPU; memory in MiB. Pairs that Fargate offers. */
      cpu: z.number().int(),
      memory: z.number().int(),
      /** Upper end of the automatic scaling, per service and colour. */
      max: z.number().int().min(2),
      architecture: z.enum(['X86_64', 'ARM64']),
      schedules: z.array(schedule).default([]),
    }),
    database: z.strictObject({
      /** Major and minor version of PostgreSQL. Minor versions change with a release, never by themselves. */
      version: z.string().regex(/^(15|16|17|18)\.\d+$/, 'a version of PostgreSQL looks like 17.6'),
      instanceClass: z.string().startsWith('db.'),
      /** GiB at first, and up to which it grows by itself. */
      storage: z.number().int().min(20),
      maxStorage: z.number().int(),
    }),
    /** Days for which logs and backups are kept. */
    logDays: z.union([30, 60, 90, 180, 365, 400].map((days) => z.literal(days))).default(90),
    backupDays: z.number().int().min(7).max(35).default(14),
    /** Cost of the environment per month in US dollars above which its owners are told. */
    monthlyBudget: z.number().positive(),
  })
  .refine(({ region, backupRegion }) => region !== backupRegion, {
    path: ['backupRegion'],
    message: 'must be another region than region',
  })
  .refine(({ region, availabilityZones }) => availabilityZones.every((zone) => zone.startsWith(region)), {
    path: ['availabilityZones'],
    message: 'must all be in region',
  })
  .refine(({ database }) => database.maxStorage >= database.storage, {
    path: ['database', 'maxStorage'],
    message: 'must not be below storage',
  });

export type AwsSettings = z.output<typeof awsSettingsSchema>;

/** Reads the settings of the running program's stack. Throws an Error that lists all that is wrong, with paths. */
export function readAwsSettings(): AwsSettings {
  return parseAwsSettings(new pulumi.Config('greenlight').requireObject(awsSettingsKey));
}

export function parseAwsSettings(value: unknown): AwsSettings {
  const { success, data, error } = awsSettingsSchema.safeParse(value);
  if (success) return data;
  const found = error.issues.map(({ path, message }) => `  ${[awsSettingsKey, ...path].join('.')}: ${message}`);
  throw new Error(`greenlight:${awsSettingsKey} is wrong:\n${found.join('\n')}`);
}
