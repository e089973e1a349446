import { z } from 'zod';
import { defaultTimeouts } from '../../infra/model.ts';
import * as rule from './rules.ts';
import { argv, environmentVariable, name, urlPath } from './scalars.ts';
import * as variables from './variable-rules.ts';

/** A process type of the application: what `application.services` has one of each. */

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
    env: z
      .record(environmentVariable, z.string())
      .superRefine(variables.noReservedVariables, rule.evenIfBroken)
      .default({})
      .describe('more environment variables; no secrets'),
    timeouts: z
      .strictObject({
        answerSeconds: z
          .number()
          .int()
          .min(1)
          .max(3600)
          .default(defaultTimeouts.answerSeconds)
          .describe('longest time until an answer begins, and between two parts of one that is no stream; then 504'),
        quietSeconds: z
          .number()
          .int()
          .min(1)
          .max(3600)
          .default(defaultTimeouts.quietSeconds)
          .describe('longest time between two parts of an event stream, of a gRPC stream or of a WebSocket'),
      })
      .prefault({})
      .describe('when the entry point gives a request up'),
    protocol: z
      .enum(['http1', 'h2c'])
      .default('http1')
      .describe('what an instance speaks; h2c: HTTP/2 without TLS, as gRPC needs it (platform local)'),
    sticky: z
      .boolean()
      .default(false)
      .describe(
        'true: a client stays with one instance of a colour, by a cookie, for as long as the instance is there',
      ),
  })
  .describe('one process type of the application');
