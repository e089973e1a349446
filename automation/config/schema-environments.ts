import { z } from 'zod';
import { postgresVersions } from '../../infra/lib/tools.ts';
import * as rule from './rules.ts';
import { secretSources } from './schema-secrets.ts';
import { argv, name } from './scalars.ts';

/** The environments of an application. `init --all` writes the first of `meta.examples`. */

const environment = z.strictObject({
  instances: z
    .record(name, z.number().int().min(1).max(8))
    .default({})
    .describe('instances per colour, by service or worker; default: as in application'),
  port: z
    .number()
    .int()
    .min(1024)
    .max(65_535)
    .optional()
    .meta({ description: 'HTTPS port of the entry point; default: the first free one', examples: [8443] }),
  seed: argv.optional().meta({
    description: 'fills an empty database; run in the artefact directory with DATABASE_URL of the owner role',
    examples: [['node', 'seed.js']],
  }),
  secrets: secretSources.describe('sources that replace those of application.secrets here, by name'),
  database: z
    .strictObject({
      maxConnections: z.number().int().min(20).max(1000).default(100).describe('per database'),
      version: z
        .number()
        .int()
        .min(postgresVersions[0])
        .max(postgresVersions.at(-1) ?? Infinity)
        .optional()
        .meta({
          description:
            'major version of PostgreSQL (platform local): where the live database has an older one, the next release is a major upgrade; default: that of the live database',
          examples: [17],
        }),
    })
    .prefault({})
    .describe('database of each colour'),
});

export const environments = z
  .strictObject({
    staging: environment.prefault({}).describe('the same components as production, in other sizes'),
    // Another example: two environments cannot share a port.
    production: environment
      .extend({ port: environment.shape.port.meta({ ...environment.shape.port.meta(), examples: [9443] }) })
      .prefault({})
      .describe('the environment that users use'),
  })
  .superRefine(rule.portsDiffer, rule.evenIfBroken)
  .superRefine(rule.versionsAgree, rule.evenIfBroken)
  .prefault({})
  .describe('the environments');
