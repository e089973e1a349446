import { z } from 'zod';
import * as rule from './rules.ts';
import { argv, environmentVariable, name, urlPath } from './scalars.ts';
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
    start: argv.meta({
      description: 'program and arguments, run in the artefact directory; listens on $HOST:$PORT; ends on SIGTERM',
      examples: [['node', 'server.js']],
    }),
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
  })
  .describe('one process type of the application');
