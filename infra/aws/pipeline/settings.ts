import { z } from 'zod';
import { cidrBlock, overlap } from '../lib/cidr.ts';

/** Key of the stack configuration that holds them, JSON: `greenlight:pipeline`. */
export const pipelineSettingsKey = 'pipeline';

const arn = (service: string) => z.string().regex(new RegExp(`^arn:aws:${service}:`), `an ARN of ${service}`);

/** Account, region, repository, and a tag or a digest. */
export const ecrImage =
  /^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com\/([a-z0-9][a-z0-9._/-]*)(?:@sha256:[0-9a-f]{64}|:[\w.-]+)$/;

const vpcId = z.string().startsWith('vpc-');
const subnetIds = z.array(z.string().startsWith('subnet-')).min(1);
const securityGroupId = z.string().startsWith('sg-');

/** Where builds run, so that they reach the databases: what one `foundation` gives out as network and securityGroups. */
const network = z
  .strictObject({
    vpcId,
    /** `cidrBlocks` of the release definition. */
    cidrBlock,
    privateSubnetIds: subnetIds,
    /** That of tasks. */
    securityGroupId,
    /** The other environment, whose databases a release has to reach as well: what its `foundation` gives out. */
    peer: z
      .strictObject({ vpcId, cidrBlock, isolatedSubnetIds: subnetIds, databasesSecurityGroupId: securityGroupId })
      .optional(),
  })
  .refine(({ cidrBlock: own, peer }) => peer === undefined || !overlap(own, peer.cidrBlock), {
    path: ['peer', 'cidrBlock'],
    message: 'must not overlap with cidrBlock: such networks cannot be peered',
  });

export type PipelineNetwork = z.output<typeof network>;

/** What the pipeline of an account needs to know. */
const schema = z.strictObject({
  application: z.string().regex(/^[a-z][a-z0-9-]{0,40}$/),
  accountId: z.string().regex(/^\d{12}$/, 'an account id has 12 digits'),
  region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'a region looks like eu-central-1'),
  /** Value of the tag `owner`. */
  owner: z.string().min(1),
  repository: z.string().regex(/^[\w.-]+\/[\w.-]+$/, 'a repository looks like owner/name'),
  /** To GitHub: made by hand once and completed in the console, as one that a stack makes is pending, and of no use to it. */
  connectionArn: arn('codeconnections'),
  /** What is pushed here is released. */
  branch: z
    .string()
    .regex(/^[\w./-]+$/)
    .default('release'),
  /** Environment of GitHub whose reviewers approve; its workflows may release. */
  githubEnvironment: z
    .string()
    .regex(/^[\w.-]+$/)
    .default('production'),
  /** Where GitHub puts them into what it vouches for: in repositories made since the summer of 2026, and in those that chose so. */
  githubIds: z.strictObject({ owner: z.number().int(), repository: z.number().int() }).optional(),
  /** One per account: give it where the account has it already. */
  githubProviderArn: arn('iam').optional(),
  /** Rights to release, as the account's administrator made them from docs/aws.md: no stack decides about its own. */
  releasePolicyArns: z
    .array(arn('iam').regex(/:policy\//, 'an ARN of a policy'))
    .min(1)
    .max(10),
  /** The bucket of the engine's state, and the key that encrypts it, by its ARN. */
  state: z.strictObject({ bucket: z.string().min(3), keyArn: arn('kms') }),
  network: network.optional(),
  build: z.strictObject({
    /** Has all that docs/aws.md lists; in the account's own registry, in the region. */
    image: z
      .string()
      .regex(ecrImage, 'an image in ECR looks like 123456789012.dkr.ecr.eu-central-1.amazonaws.com/greenlight-build:1'),
    architecture: z.enum(['X86_64', 'ARM64']).default('X86_64'),
    computeType: z
      .enum(['BUILD_GENERAL1_MEDIUM', 'BUILD_GENERAL1_LARGE', 'BUILD_GENERAL1_XLARGE'])
      .default('BUILD_GENERAL1_LARGE'),
    timeoutMinutes: z.number().int().min(30).max(2160).default(480),
  }),
  /** When staging is rehearsed, on the release branch. */
  nightly: z
    .strictObject({ cron: z.string().startsWith('cron('), timeZone: z.string().min(1) })
    .default({ cron: 'cron(17 2 * * ? *)', timeZone: 'UTC' }),
  /** Who is told of failures: addresses of e-mail. SNS asks each to confirm. */
  notify: z.array(z.email()).min(1),
  logDays: z.number().int().min(30).default(90),
});

export type PipelineSettings = z.output<typeof schema>;

/** Throws an Error that lists all that is wrong, with paths. */
export function parsePipelineSettings(value: unknown): PipelineSettings {
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  const found = error.issues.map(({ path, message }) => `  ${[pipelineSettingsKey, ...path].join('.')}: ${message}`);
  throw new Error(`greenlight:${pipelineSettingsKey} is wrong:\n${found.join('\n')}`);
}
