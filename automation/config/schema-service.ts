import { z } from 'zod';
import * as rule from './rules.ts';
import { argv, environmentVariable, name, urlPath } from './scalars.ts';
import * as variables from './variable-rules.ts';

/** A process type of the application: what `application.services` has one of each. */

/** Environment variables of a service, a worker or a schedule. */
export const ownVariables = z
  .record(environmentVariable, z.string())
  .superRefine(variables.noReservedVariables, rule.evenIfBroken)
  .default({})
  .describe('more environment variables; no secrets');

export const service = z
  .strictObject({
    name: name.meta({ description: 'unique name of the service', examples: ['web'] }),
    start: argv.meta({
      description: 'program and arguments, run in the artefact directory; listens on $HOST:$PORT; ends on SIGTERM',
      examples: [['node', 'server.js']],
    }),
    health: urlPath.default('/healthz').describe('path that answers 200 when the instance can serve'),
    routes: z
      .array(urlPath)
      .min(1)
      .meta({ description: 'URL path prefixes that this service answers; the longest prefix wins', examples: [['/']] }),
    instances: z.number().int().min(1).max(8).default(2).describe('instances per colour in production'),
    database: z.boolean().default(false).describe('true: gets DATABASE_URL'),
    env: ownVariables,
  })
  .describe('one process type of the application');
