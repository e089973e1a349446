import { z } from 'zod';
import { imagesOrBuild } from './image-rules.ts';
import * as rule from './rules.ts';
import { secretSources } from './schema-secrets.ts';
import { service } from './schema-service.ts';
import { build, migrations } from './schema-migrations.ts';
import { engine, jobImage, registry } from './schema-image.ts';
import { filesDirectory, schedule, worker } from './schema-workers.ts';
import * as variables from './variable-rules.ts';
import { filesAreDistinct, programNamesDiffer } from './worker-rules.ts';
import { argv, cookieName, environmentVariable, httpMethod, name, urlPath, version, webUrl } from './scalars.ts';

/** The application. `init --all` writes the first of `meta.examples`. */

const integration = z
  .strictObject({
    name: name.meta({ description: 'unique name of the integration', examples: ['payments'] }),
    env: environmentVariable.meta({
      description: 'environment variable that carries its URL to the services',
      examples: ['PAYMENTS_URL'],
    }),
    url: webUrl.optional().meta({
      description: 'URL of the third party; leave it out to use the stand-in',
      examples: ['https://payments.example.com'],
    }),
    standIn: argv.optional().meta({
      description: 'a local stand-in, run at the project’s root, once per environment, with HOST and PORT set',
      examples: [['node', 'stand-ins/payments.js']],
    }),
    health: urlPath.default('/healthz').describe('path that answers 200 when the integration works'),
  })
  .describe('a third party that the services call');

export const application = z
  .strictObject({
    name: name.meta({ description: 'name of the application', examples: ['my-application'] }),
    version: version.meta({ description: 'the version to release', examples: ['1.0.0'] }),
    baseline: version
      .optional()
      .meta({ description: 'version that is released first to an empty production', examples: ['0.9.0'] }),
    build: build.optional().meta({
      description:
        "what a version is made of: a command, run at the project's root, or { directory }: a folder that can be run as it is; not needed where every service has an image",
      active: true,
    }),
    services: z
      .array(service)
      .min(1)
      .superRefine(rule.uniqueNames, rule.evenIfBroken)
      .superRefine(rule.routesAreDistinct, rule.evenIfBroken)
      .describe('process types, released as one unit'),
    registry,
    engine,
    workers: z
      .array(worker)
      .default([])
      .describe('programs that get no requests; they run on the live colour alone, and never on both'),
    schedules: z.array(schedule).default([]).describe('commands at certain times; the live colour runs them'),
    files: z
      .array(filesDirectory)
      .superRefine(filesAreDistinct, rule.evenIfBroken)
      .default([])
      .describe('directories of the environment for files of users; both colours share them'),
    migrations: migrations
      .optional()
      .describe(
        'changes of the database: a directory of SQL files, or commands: { expand, contract }; left out: none ever changes it',
      ),
    secrets: secretSources.describe(
      'secrets by name, for ${secret.<name>} in env: read when a release starts, and by the command secrets --rotate',
    ),
    jobs: z
      .strictObject({
        image: jobImage,
        env: z
          .record(environmentVariable, z.string())
          .superRefine(variables.noReservedVariables, rule.evenIfBroken)
          .default({})
          .describe(
            'as env of a service, without ${host}, ${port}, ${publicUrl} and ${colour}; ${database.…} is of the role that the job has',
          ),
      })
      .prefault({})
      .describe('migration commands, seeds and tests'),
    integrations: z
      .array(integration)
      .superRefine(variables.integrationsAreUsable, rule.evenIfBroken)
      .default([])
      .describe('third parties that the services call; each needs url or standIn'),
    writes: z
      .strictObject({
        reads: z
          .array(httpMethod)
          .min(1)
          .superRefine(rule.uniqueValues, rule.evenIfBroken)
          .default(['GET', 'HEAD', 'OPTIONS', 'TRACE'])
          .describe('HTTP methods that only read, such as PROPFIND and REPORT of WebDAV; every other method writes'),
        paths: z.array(urlPath).default([]).describe('path prefixes that write whatever their method'),
        withoutCookie: z
          .array(cookieName)
          .superRefine(rule.uniqueValues, rule.evenIfBroken)
          .optional()
          .meta({
            description:
              'names of session cookies: a request with none of them writes whatever its method, as it may begin a session; it goes to the live colour and is in no canary',
            examples: [['sessionid']],
          }),
      })
      .prefault({})
      .describe('which requests write; only the live colour gets them'),
    http: z
      .strictObject({
        headerKilobytes: z
          .number()
          .int()
          .min(4)
          .max(64)
          .default(16)
          .describe(
            'largest head of a request (beyond it: 431); an answer may have a larger one, up to twice that (beyond it: 502)',
          ),
        bodyMegabytes: z
          .number()
          .int()
          .min(1)
          .max(1_000_000)
          .optional()
          .meta({
            description:
              'largest body of a request (beyond it: 413; without Content-Length: 411); default: no limit (platform local)',
            examples: [100],
          }),
        streams: z
          .array(urlPath)
          .default([])
          .describe(
            'path prefixes whose answers last as long as somebody listens, such as a stream of gRPC; WebSockets and answers to Accept: text/event-stream are known without',
          ),
      })
      .prefault({})
      .describe('limits of the entry point'),
  })
  .superRefine(imagesOrBuild, rule.evenIfBroken)
  .superRefine(rule.baselineIsOlder, rule.evenIfBroken)
  .superRefine(rule.versionsAreDistinct, rule.evenIfBroken)
  .superRefine(variables.integrationsSetTheirVariables, rule.evenIfBroken)
  .superRefine(variables.filesSetTheirVariables, rule.evenIfBroken)
  .superRefine(programNamesDiffer, rule.evenIfBroken)
  .superRefine(variables.databaseIsGiven, rule.evenIfBroken)
  .describe('the application that is released');
