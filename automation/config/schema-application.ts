import { z } from 'zod';
import { acceptableRules } from './migration-rules.ts';
import { postgresVersions } from '../../infra/lib/tools.ts';
import * as files from './file-rules.ts';
import { imagesOrBuild } from './image-rules.ts';
import * as rule from './rules.ts';
import { secretSources } from './schema-secrets.ts';
import { service } from './schema-service.ts';
import { engine, jobImage, registry } from './schema-image.ts';
import { filesDirectory, schedule, worker } from './schema-workers.ts';
import * as variables from './variable-rules.ts';
import { filesAreDistinct, programNamesDiffer } from './worker-rules.ts';
import {
  argv,
  cookieName,
  environmentVariable,
  folderPath,
  httpMethod,
  name,
  relativePath,
  seconds,
  tableName,
  urlPath,
  version,
  webUrl,
} from './scalars.ts';

/** The application and its environments. `npm run init` writes the first of `meta.examples`. */

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

const acceptedRule = z.enum(acceptableRules).meta({
  description: 'the rule, as the gate names it; all that it finds there is meant',
  examples: ['loosens'],
});
const acceptedReason = z
  .string()
  .min(10, 'say why in at least ten characters')
  .meta({ description: 'why the release may go on with it', examples: ['longer names come with the next release'] });
const acceptedObject = z
  .string()
  .min(1)
  .meta({
    description: 'table or other object of the database, as the gate `migration-effects` names it',
    examples: ['public.users'],
  });

const acceptance = z.strictObject({
  file: z
    .string()
    .optional()
    .meta({
      description: 'name of the file, for what the gate `migrations` finds in it',
      examples: ['005_names.sql'],
    }),
  object: acceptedObject.optional(),
  rule: acceptedRule,
  reason: acceptedReason,
});

const readOnlyWindow = z
  .strictObject({
    longestSeconds: z
      .number()
      .int()
      .min(5)
      .max(3600)
      .meta({
        description:
          'longest time for which writes are refused: they are answered 503, reads go on; when it is over before the new version is live, all of it is undone',
        examples: [60],
      }),
  })
  .describe('how long users can do without writing');

const directoryMigrations = z
  .strictObject({
    directory: relativePath.meta({
      description: 'plain SQL files in the artefact, applied in the order of their names',
      examples: ['migrations'],
    }),
    contract: z
      .array(z.string())
      .default([])
      .describe(
        'names of the files that run only after the bake time, past the point of no return; they are rehearsed on a copy, and run after a backup that was restored and compared',
      ),
    incompatible: z
      .strictObject({
        files: z
          .array(z.string())
          .min(1)
          .meta({ description: 'names of the files that run in it', examples: [['006_one_name.sql']] }),
        readOnlyWindow,
      })
      .optional()
      .describe(
        'files that the old version or the replication does not survive: they run between expand and contract, in a read-only window, without a way back; needs canary.steps: []',
      ),
    accept: z
      .array(acceptance)
      .default([])
      .describe('what a gate finds in a file, or of an object on the copy, and the release goes on with'),
  })
  .superRefine(files.laterNamesAreFiles, rule.evenIfBroken)
  .superRefine(files.acceptancesAreOfFiles, rule.evenIfBroken);

const commandMigrations = z
  .strictObject({
    expand: argv.describe(
      "the application's own command, run in the artefact directory with DATABASE_URL of the owner role",
    ),
    contract: argv
      .optional()
      .describe('command for the migrations that run only after the bake time; rehearsed on a copy'),
    incompatible: z
      .strictObject({
        command: argv.meta({
          description: 'the command that runs in it',
          examples: [['node', 'migrate-in-window.js']],
        }),
        readOnlyWindow,
      })
      .optional()
      .describe(
        'command for what the old version or the replication does not survive: it runs in a read-only window, without a way back; needs canary.steps: []',
      ),
    records: z
      .array(tableName)
      .default([])
      .describe(
        'tables in which the commands keep what they have done, such as alembic_version: where they have run they differ, and are not compared',
      ),
    accept: z
      .array(z.strictObject({ object: acceptedObject, rule: acceptedRule, reason: acceptedReason }))
      .default([])
      .describe('what the gate `migration-effects` finds on the copy, and the release goes on with'),
  })
  .superRefine(files.contractIsACommand, rule.evenIfBroken);

const commandBuild = z.strictObject({
  command: argv.meta({
    description: 'writes everything that runs into $GREENLIGHT_OUT, for version $GREENLIGHT_VERSION',
    examples: [['npm', 'run', 'build']],
  }),
  timeoutSeconds: seconds(300).describe('longest duration of the build'),
});

const folderBuild = z
  .strictObject({
    directory: folderPath.describe(
      "folder that is copied, relative to the project's root; of a git repository what git knows or does not ignore",
    ),
    include: z.array(relativePath).default([]).describe('files and folders that git ignores, such as node_modules'),
    exclude: z.array(relativePath).default([]).describe('files and folders that are left out'),
    ref: z
      .string()
      .regex(/^[\w$][\w.,/@~^${}-]*$/, 'name a git ref, such as v${version}')
      .optional()
      .describe('git ref that a version is taken from, such as v${version}; default: the working tree'),
    prepare: argv
      .optional()
      .describe('command that is run in the copy with $GREENLIGHT_VERSION, such as npm ci --omit=dev'),
    timeoutSeconds: seconds(300).describe('longest duration of prepare'),
  })
  .superRefine(rule.refHasNoIncluded, rule.evenIfBroken);

export const application = z
  .strictObject({
    name: name.meta({ description: 'name of the application', examples: ['my-application'] }),
    version: version.meta({ description: 'the version to release', examples: ['1.0.0'] }),
    baseline: version
      .optional()
      .meta({ description: 'version that is released first to an empty production', examples: ['0.9.0'] }),
    build: z
      .union([commandBuild, folderBuild])
      .optional()
      .meta({
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
    migrations: z
      .union([directoryMigrations, commandMigrations])
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
