import { Region } from '@pulumi/aws/types/enums/index.js';
import { z } from 'zod';
import { didYouMean } from '../../lib/nearest.ts';
import { cidrBlock } from './cidr.ts';
import { notOffered } from './fargate.ts';

/** Key of the stack configuration that holds the settings, JSON: `greenlight:aws`. The same in all stacks of an environment. */
export const awsSettingsKey = 'aws';

/** As the version of Pulumi's provider that this project uses knows them. */
const regions: string[] = Object.values(Region);
const region = z
  .string()
  .refine((name) => regions.includes(name), {
    error: ({ input }) => `there is no such region; one looks like eu-central-1${didYouMean(input, regions)}`,
  })
  .meta({ description: 'region of everything but the copies of backups', examples: ['eu-central-1'] });

export const domain = z
  .string()
  .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/, 'a domain looks like app.example.org')
  .meta({ description: 'name of the entry point, in the hosted zone', examples: ['app.example.org'] });

/** Scaling at known times, before the load comes: cron expression of Application Auto Scaling, in `timeZone`. */
const schedule = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]*$/, 'use lower-case letters, digits and hyphens, starting with a letter')
    .meta({ description: 'unique name', examples: ['evening'] }),
  cron: z
    .string()
    .startsWith('cron(', 'write a cron expression such as cron(0 17 * * ? *)')
    .meta({ description: 'cron expression of Application Auto Scaling', examples: ['cron(0 17 * * ? *)'] }),
  timeZone: z.string().meta({ description: 'IANA name of the time zone', examples: ['Europe/Berlin'] }),
  minTasks: z
    .number()
    .int()
    .min(2)
    .meta({ description: 'tasks from then on, at least', examples: [4] }),
});

const tasks = z
  .strictObject({
    cpu: z
      .number()
      .int()
      .meta({ description: 'CPU units, 1024 is one vCPU; pairs with memory that Fargate offers', examples: [512] }),
    memory: z
      .number()
      .int()
      .meta({ description: 'MiB', examples: [1024] }),
    max: z
      .number()
      .int()
      .min(2)
      .meta({ description: 'upper end of the automatic scaling, per service and colour', examples: [8] }),
    architecture: z.enum(['X86_64', 'ARM64']).meta({ description: 'of tasks and images', examples: ['X86_64'] }),
    schedules: z.array(schedule).default([]).describe('scaling ahead of load that is known to come'),
  })
  .superRefine(({ cpu, memory }, ctx) => {
    const problem = notOffered(cpu, memory);
    if (problem !== undefined) ctx.addIssue({ code: 'custom', path: [problem.at], message: problem.message });
  })
  .describe('tasks of the services');

const database = z
  .strictObject({
    version: z
      .string()
      .regex(/^(15|16|17|18)\.\d+$/, 'give a version of PostgreSQL 15 to 18 with its minor, such as 17.6')
      .meta({
        description: 'of PostgreSQL; minor versions change with a release, never by themselves',
        examples: ['17.6'],
      }),
    instanceClass: z
      .string()
      .startsWith('db.', 'a class of instances looks like db.m7g.large')
      .meta({ description: 'class of each instance', examples: ['db.m7g.large'] }),
    storage: z
      .number()
      .int()
      .min(20)
      .meta({ description: 'GiB at first', examples: [50] }),
    maxStorage: z
      .number()
      .int()
      .meta({ description: 'GiB up to which it grows by itself', examples: [200] }),
  })
  .describe('database of each colour');

const state = z
  .strictObject({
    bucket: z
      .string()
      .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'that is no name of a bucket')
      .meta({
        description: 'bucket of state, artefacts, locks and journals; made by hand, see docs/aws.md',
        examples: ['example-greenlight-state'],
      }),
    key: z
      .string()
      .regex(/^(alias\/|arn:aws:kms:)/, 'give alias/<name>, or the ARN of the key')
      .meta({ description: 'KMS key that encrypts the secrets in the state', examples: ['alias/greenlight-state'] }),
  })
  .describe('what the machines that release share');

const authorities = z
  .strictObject({
    entry: z
      .string()
      .optional()
      .meta({
        description: "PEM file of the authority of the entry point's certificate; leave out where it is a public one",
        examples: ['company-ca.pem'],
      }),
    databases: z
      .string()
      .optional()
      .meta({
        description: "PEM file of the databases' authorities; default: downloaded from AWS once",
        examples: ['rds-global-bundle.pem'],
      }),
    databasePeers: z
      .string()
      .default('/rdsdbdata/rds-metadata/ca-cert.pem')
      .describe("the same file on the databases' own hosts, for replication between them"),
  })
  .prefault({})
  .describe('certificate authorities');

const metrics = z
  .strictObject({
    periodSeconds: z
      .number()
      .int()
      .min(1)
      .max(60)
      .default(60)
      .describe('AWS publishes those of a balancer each minute'),
    delaySeconds: z
      .number()
      .int()
      .min(0)
      .max(900)
      .default(180)
      .describe('how late they may be; what is later is stale'),
  })
  .prefault({})
  .describe('metrics of CloudWatch');

/** What all environments of one definition share. Without its rules (`consistent`). */
export const awsShape = {
  accountId: z
    .string()
    .regex(/^\d{12}$/, 'an account id has 12 digits')
    .meta({ description: 'any other account is refused before anything is changed', examples: ['123456789012'] }),
  region,
  backupRegion: region.meta({ description: 'backups are copied there', examples: ['eu-west-1'] }),
  availabilityZones: z
    .array(z.string())
    .min(2, 'two zones at least, so that the loss of one is no outage')
    .meta({ description: 'two or more', examples: [['eu-central-1a', 'eu-central-1b']] }),
  hostedZoneId: z
    .string()
    .regex(/^Z[A-Z0-9]+$/, 'a hosted zone id looks like Z0123456789ABC')
    .meta({ description: 'hosted zone of Route 53 for the names of entry points', examples: ['Z0123456789ABC'] }),
  owner: z
    .string()
    .min(1)
    .meta({ description: 'who answers for the resources: value of the tag owner', examples: ['team-learning'] }),
  cidrBlock: cidrBlock.default('10.0.0.0/16').describe('addresses of the network'),
  state,
  tasks,
  database,
  image: z
    .strictObject({
      dockerfile: z.string().default('infra/aws/Dockerfile').describe('makes an image of an artefact directory'),
      k6: z.string().default('grafana/k6:1.8.1').describe('image of k6, for load from several tasks'),
    })
    .prefault({})
    .describe('container images'),
  authorities,
  metrics,
  logDays: z
    .union([30, 60, 90, 180, 365, 400].map((days) => z.literal(days)))
    .default(90)
    .describe('days for which logs are kept'),
  backupDays: z.number().int().min(7).max(35).default(14).describe('days for which backups are kept'),
  monthlyBudget: z
    .number()
    .positive()
    .meta({ description: 'US dollars per environment and month above which its owners are told', examples: [900] }),
};

interface Related {
  region: string;
  backupRegion: string;
  availabilityZones: string[];
  database: { storage: number; maxStorage: number };
}

/** Adds the rules between settings. */
export const consistent = <T extends z.ZodType<Related>>(schema: T) =>
  schema
    .refine(({ region, backupRegion }) => region !== backupRegion, {
      path: ['backupRegion'],
      message: 'must be another region than region',
    })
    .superRefine(({ region, availabilityZones }, ctx) => {
      const strange = availabilityZones.filter((zone) => !zone.startsWith(region));
      // Of a region that is none, no zone can be.
      if (strange.length === 0 || !regions.includes(region)) return;
      const report = (path: string, message: string) => ctx.addIssue({ code: 'custom', path: [path], message });
      const theirs = regions.find((one) => availabilityZones.every((zone) => zone.replace(/[a-z]$/, '') === one));
      if (theirs !== undefined) report('region', `all zones are of ${theirs}; correct the region, or the zones`);
      else
        report('availabilityZones', `${strange.join(' and ')}: not in region ${region}; name zones such as ${region}a`);
    })
    .refine(({ database }) => database.maxStorage >= database.storage, {
      path: ['database', 'maxStorage'],
      message: 'must not be below storage',
    });

/** What one environment on AWS needs to know beside the release definition. */
export const awsSettingsSchema = consistent(z.strictObject({ ...awsShape, domain }));

export type AwsSettings = z.output<typeof awsSettingsSchema>;

/** Throws an Error that lists all that is wrong, with paths. */
export function parseAwsSettings(value: unknown): AwsSettings {
  const { success, data, error } = awsSettingsSchema.safeParse(value);
  if (success) return data;
  const found = error.issues.map(({ path, message }) => `  ${[awsSettingsKey, ...path].join('.')}: ${message}`);
  throw new Error(`greenlight:${awsSettingsKey} is wrong:\n${found.join('\n')}`);
}
