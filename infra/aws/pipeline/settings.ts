import { z } from 'zod';
import { cidrBlock, overlap } from '../lib/cidr.ts';

/** Key of the stack configuration that holds the pipeline's settings, JSON: `greenlight:pipeline`. */
export const pipelineSettingsKey = 'pipeline';

const arn = (service: string) => z.string().regex(new RegExp(`^arn:aws:${service}:`), `an ARN of ${service}`);

/** Account, region, repository, and a tag or a digest. */
export const ecrImage =
  /^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com\/([a-z0-9][a-z0-9._/-]*)(?:@sha256:[0-9a-f]{64}|:[\w.-]+)$/;

const vpcId = z.string().startsWith('vpc-');
const subnetIds = z.array(z.string().startsWith('subnet-')).min(1);
const securityGroupId = z.string().startsWith('sg-');

/**
 * The network in which builds run, to reach the databases. Values from the outputs `network` and `securityGroups` of
 * one `foundation`.
 */
const network = z
  .strictObject({
    vpcId,
    /** `cidrBlocks` of the release definition. */
    cidrBlock,
    privateSubnetIds: subnetIds,
    /** Security group of tasks. */
    securityGroupId,
    /**
     * The other environment, whose databases a release has to reach as well. Values from the outputs of its
     * `foundation`.
     */
    peer: z
      .strictObject({ vpcId, cidrBlock, isolatedSubnetIds: subnetIds, databasesSecurityGroupId: securityGroupId })
      .optional(),
  })
  .refine(({ cidrBlock: own, peer }) => peer === undefined || !overlap(own, peer.cidrBlock), {
    path: ['peer', 'cidrBlock'],
    message: 'must not overlap with cidrBlock: such networks cannot be peered',
  });

export type PipelineNetwork = z.output<typeof network>;

/** Settings of an account's pipeline. */
const schema = z.strictObject({
  application: z.string().regex(/^[a-z][a-z0-9-]{0,40}$/),
  accountId: z.string().regex(/^\d{12}$/, 'an account id has 12 digits'),
  region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'a region looks like eu-central-1'),
  /** Value of the tag `owner`. */
  owner: z.string().min(1),
  repository: z.string().regex(/^[\w.-]+\/[\w.-]+$/, 'a repository looks like owner/name'),
  /**
   * Connection to GitHub, created by hand and completed in the console. One that a stack creates stays pending and is
   * of no use.
   */
  connectionArn: arn('codeconnections'),
  /** What is pushed to this branch is released. */
  branch: z
    .string()
    .regex(/^[\w./-]+$/)
    .default('release'),
  /** GitHub environment whose reviewers approve. Its workflows may release. */
  githubEnvironment: z
    .string()
    .regex(/^[\w.-]+$/)
    .default('production'),
  /**
   * Give them if GitHub puts the ids into the token's subject: in repositories created since the summer of 2026, and in
   * those that opted in.
   */
  githubIds: z.strictObject({ owner: z.number().int(), repository: z.number().int() }).optional(),
  /** GitHub's OpenID Connect provider. An account can have only one: give its ARN if it exists. */
  githubProviderArn: arn('iam').optional(),
  /**
   * Policies with the rights to release, which an administrator created from docs/aws.md. No stack grants its own
   * rights.
   */
  releasePolicyArns: z
    .array(arn('iam').regex(/:policy\//, 'an ARN of a policy'))
    .min(1)
    .max(10),
  /** The bucket of the engine's state, and the key that encrypts it, by its ARN. */
  state: z.strictObject({ bucket: z.string().min(3), keyArn: arn('kms') }),
  network: network.optional(),
  build: z.strictObject({
    /** Contains what docs/aws.md lists. In the account's own registry, in the region. */
    image: z
      .string()
      .regex(ecrImage, 'an image in ECR looks like 123456789012.dkr.ecr.eu-central-1.amazonaws.com/greenlight-build:1'),
    architecture: z.enum(['X86_64', 'ARM64']).default('X86_64'),
    computeType: z
      .enum(['BUILD_GENERAL1_MEDIUM', 'BUILD_GENERAL1_LARGE', 'BUILD_GENERAL1_XLARGE'])
      .default('BUILD_GENERAL1_LARGE'),
    timeoutMinutes: z.number().int().min(30).max(2160).default(480),
  }),
  /** When the release branch is rehearsed on staging. */
  nightly: z
    .strictObject({ cron: z.string().startsWith('cron('), timeZone: z.string().min(1) })
    .default({ cron: 'cron(17 2 * * ? *)', timeZone: 'UTC' }),
  /** E-mail addresses that are notified of failures. SNS asks each to confirm. */
  notify: z.array(z.email()).min(1),
  logDays: z.number().int().min(30).default(90),
});

export type PipelineSettings = z.output<typeof schema>;

/** Throws an Error that lists every problem with its path. */
export function parsePipelineSettings(value: unknown): PipelineSettings {
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  const found = error.issues.map(({ path, message }) => `  ${[pipelineSettingsKey, ...path].join('.')}: ${message}`);
  throw new Error(`greenlight:${pipelineSettingsKey} is wrong:\n${found.join('\n')}`);
}
