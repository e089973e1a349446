import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Region } from '@pulumi/aws/types/enums/index.js';
import { z } from 'zod';
import { didYouMean } from '../../lib/nearest.ts';
import { packageRoot, projectRoot } from '../../lib/paths.ts';
import { cidrBlock } from './cidr.ts';
import { notOffered } from './fargate.ts';

/**
 * Key of the stack configuration that holds the settings, JSON: `greenlight:aws`. The same in all stacks of an
 * environment.
 */
export const awsSettingsKey = 'aws';

const ownDockerfile = 'infra/aws/Dockerfile';

/** Path of the Dockerfile of the settings: the project's, or, where the settings name none, Greenlight's own. */
export function dockerfilePath({ dockerfile }: { dockerfile: string }): string {
  const ofProject = resolve(projectRoot(), dockerfile);
  return dockerfile === ownDockerfile && !existsSync(ofProject) ? join(packageRoot, dockerfile) : ofProject;
}

/** The regions that the pinned version of Pulumi's provider knows. */
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

/** Scaling ahead of load that is known to come: a cron expression of Application Auto Scaling, in `timeZone`. */
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
    .meta({ description: 'minimum number of tasks from then on', examples: [4] }),
});

const tasks = z
  .strictObject({
    cpu: z
      .number()
      .int()
      .meta({
        description: 'CPU units, 1024 is one vCPU; Fargate offers certain pairs of cpu and memory',
        examples: [512],
      }),
    memory: z
      .number()
      .int()
      .meta({ description: 'MiB', examples: [1024] }),
    max: z
      .number()
      .int()
      .min(2)
      .meta({ description: 'maximum of the automatic scaling, per service and colour', examples: [8] }),
    architecture: z
      .enum(['X86_64', 'ARM64'])
      .meta({ description: 'CPU architecture of tasks and images', examples: ['X86_64'] }),
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
        description: 'version of PostgreSQL; minor versions change with a release, never automatically',
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
      .meta({ description: 'initial GiB', examples: [50] }),
    maxStorage: z
      .number()
      .int()
      .meta({ description: 'GiB up to which the storage grows automatically', examples: [200] }),
  })
  .describe('database of each colour');

const state = z
  .strictObject({
    bucket: z
      .string()
      .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'this is not a valid bucket name')
      .meta({
        description: 'bucket of state, artefacts, locks and journals; created by hand, see docs/aws.md',
        examples: ['example-greenlight-state'],
      }),
    key: z
      .string()
      .regex(/^(alias\/|arn:aws:kms:)/, 'give alias/<name>, or the ARN of the key')
      .meta({ description: 'KMS key that encrypts the secrets in the state', examples: ['alias/greenlight-state'] }),
  })
  .describe('state that all machines that release share');

const authorities = z
  .strictObject({
    entry: z
      .string()
      .optional()
      .meta({
        description: "PEM file of the authority of the entry point's certificate; leave it out for a public authority",
        examples: ['company-ca.pem'],
      }),
    databases: z
      .string()
      .optional()
      .meta({
        description: "PEM file of the databases' authorities; by default it is downloaded from AWS once",
        examples: ['rds-global-bundle.pem'],
      }),
    databasePeers: z
      .string()
      .default('/rdsdbdata/rds-metadata/ca-cert.pem')
      .describe("path of the authorities' file on the database hosts, for replication between the databases"),
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
      .describe('seconds between data points; AWS publishes those of a balancer every minute'),
    delaySeconds: z
      .number()
      .int()
      .min(0)
      .max(900)
      .default(180)
      .describe('seconds by which data points may be late; older ones are stale'),
  })
  .prefault({})
  .describe('metrics of CloudWatch');

/**
 * The settings that all environments of a release definition share, without the rules between settings (`consistent`).
 */
export const awsShape = {
  accountId: z
    .string()
    .regex(/^\d{12}$/, 'an account id has 12 digits')
    .meta({
      description: 'the AWS account; any other is refused before anything is changed',
      examples: ['123456789012'],
    }),
  region,
  backupRegion: region.meta({ description: 'region to which backups are copied', examples: ['eu-west-1'] }),
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
    .meta({ description: 'value of the tag owner: who is responsible for the resources', examples: ['team-learning'] }),
  cidrBlock: cidrBlock.default('10.0.0.0/16').describe('addresses of the network'),
  state,
  tasks,
  database,
  image: z
    .strictObject({
      dockerfile: z
        .string()
        .default(ownDockerfile)
        .describe('Dockerfile that builds an image from an artefact directory'),
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
    .meta({
      description: 'US dollars per environment and month above which the alert receivers are notified',
      examples: [900],
    }),
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
      // A region that does not exist is reported by its own check.
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

/** The AWS settings of one environment. */
export const awsSettingsSchema = consistent(z.strictObject({ ...awsShape, domain }));

export type AwsSettings = z.output<typeof awsSettingsSchema>;

/** Throws an Error that lists every problem with its path. */
export function parseAwsSettings(value: unknown): AwsSettings {
  const { success, data, error } = awsSettingsSchema.safeParse(value);
  if (success) return data;
  const found = error.issues.map(({ path, message }) => `  ${[awsSettingsKey, ...path].join('.')}: ${message}`);
  throw new Error(`greenlight:${awsSettingsKey} is wrong:\n${found.join('\n')}`);
}
