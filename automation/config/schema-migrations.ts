import { z } from 'zod';
import { acceptableRules } from './migration-rules.ts';
import * as files from './file-rules.ts';
import * as rule from './rules.ts';
import { argv, folderPath, relativePath, seconds, tableName } from './scalars.ts';

/** How the database changes with a version, and what a version is made of. */

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

export const migrations = z.union([directoryMigrations, commandMigrations]);
export const build = z.union([commandBuild, folderBuild]);
