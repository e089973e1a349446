import { z } from 'zod';
import { defaultTimeouts } from '../../infra/model.ts';
import { startOrImage } from './image-rules.ts';
import * as rule from './rules.ts';
import { argv, environmentVariable, name, urlPath } from './scalars.ts';
import { image, limits } from './schema-image.ts';
import * as variables from './variable-rules.ts';

/** A process type of the application: what `application.services` has one of each. */

const httpStatus = z.number().int().min(100).max(599);
const headerName = z.string().regex(/^[A-Za-z0-9-]+$/, 'give the name of an HTTP header');
const headerValue = z.string().regex(/^[\x20-\x7e]*$/, 'use printable ASCII characters');

const health = z.union(
  [
    urlPath,
    z.strictObject({
      path: urlPath,
      status: z.union([httpStatus, z.array(httpStatus).min(1)]).optional(),
      headers: z.record(headerName, headerValue).optional(),
    }),
    z.strictObject({ tcp: z.literal(true) }),
    z.strictObject({ command: argv }),
  ],
  {
    error:
      'give a path such as /healthz, { path, status, headers }, { tcp: true }, or { command: [program, arguments] }',
  },
);

const lifetimes = (least: number, most: number) => z.number().int().min(least).max(most);
/** Environment variables of a service, a worker or a schedule; the latter two have no `${host}` and no `${port}`. */
export const ownVariables = z
  .record(environmentVariable, z.string())
  .superRefine(variables.noReservedVariables, rule.evenIfBroken)
  .default({})
  .describe(
    'more environment variables. ${database.host}, .port, .name, .user, .password, .url, .caFile, ${secret.<name>}, ${files.<name>}, ${host}, ${port}, ${publicUrl}, ${version}, ${colour} and ${environment} are replaced; $${ is a literal ${',
  );

export const service = z
  .strictObject({
    name: name.meta({ description: 'unique name of the service', examples: ['web'] }),
    start: argv.optional().meta({
      description:
        'program and arguments, run in the artefact directory; listens on $HOST:$PORT; ends on SIGTERM; with an image: instead of its command',
      examples: [['node', 'server.js']],
      active: true,
    }),
    image: image.optional(),
    limits: limits.optional(),
    health: health
      .default('/healthz')
      .describe(
        'what tells that an instance can serve: a path that answers 200 to a request with the headers of the entry point; { path, status, headers }; { tcp: true }: its port is open; { command }: exit code 0 at the start, run as the service is, and its port afterwards',
      ),
    startSeconds: lifetimes(1, 3600).default(30).describe('longest time until an instance is healthy'),
    stopSeconds: lifetimes(1, 120).default(15).describe('time between SIGTERM and SIGKILL'),
    routes: z
      .array(urlPath)
      .min(1)
      .meta({ description: 'URL path prefixes that this service answers; the longest prefix wins', examples: [['/']] }),
    instances: z.number().int().min(1).max(8).default(2).describe('instances per colour in production'),
    database: z.boolean().default(false).describe('true: gets DATABASE_URL, and env may name ${database.…}'),
    env: ownVariables,
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
  .superRefine(startOrImage, rule.evenIfBroken)
  .describe('one process type of the application');
