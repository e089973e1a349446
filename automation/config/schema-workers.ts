import { z } from 'zod';
import { ownVariables } from './schema-service.ts';
import { argv, environmentVariable, name, timeZone } from './scalars.ts';
import { cronComes } from './worker-rules.ts';

/** What runs beside the services, and what outlives a release. */

/** A release waits for it while it moves the writes. */
const stopSeconds = z
  .number()
  .int()
  .min(1)
  .max(600)
  .default(30)
  .describe('seconds from SIGTERM until it is killed; a release waits for that before it holds writes');

const image = name.optional().meta({
  description:
    'service in whose image it runs; default: in what application.build wrote, and without it in the image that jobs run in',
  examples: ['web'],
});

const database = z.boolean().default(true).describe('true: gets DATABASE_URL');

export const worker = z
  .strictObject({
    name: name.meta({ description: 'unique name of the worker', examples: ['mailer'] }),
    start: argv.meta({
      description:
        'program and arguments, run in the artefact directory, or in the image in place of its entry point; ends on SIGTERM; started again when it ends',
      examples: [['node', 'worker.js']],
    }),
    image,
    instances: z.number().int().min(1).max(8).default(1).describe('how many run on the live colour'),
    database,
    env: ownVariables,
    stopSeconds,
  })
  .describe('a program that gets no requests');

export const schedule = z
  .strictObject({
    name: name.meta({ description: 'unique name of the schedule', examples: ['nightly'] }),
    cron: z
      .string()
      .superRefine(cronComes)
      .meta({ description: 'minute, hour, day of the month, month, day of the week', examples: ['*/5 * * * *'] }),
    timeZone: timeZone.default('UTC').describe('IANA name of the zone of these times'),
    command: argv.meta({
      description:
        'program and arguments, run in the artefact directory or in the image at these times; a run that is still going is not joined by another',
      examples: [['node', 'report.js']],
    }),
    image,
    database,
    env: ownVariables,
    stopSeconds,
    timeoutSeconds: z.number().int().min(1).max(86_400).default(3600).describe('a run that takes longer is ended'),
  })
  .describe('a command at certain times');

export const filesDirectory = z
  .strictObject({
    name: name.meta({ description: 'unique name of the directory', examples: ['uploads'] }),
    env: environmentVariable
      .optional()
      .meta({ description: 'environment variable that carries its path', examples: ['UPLOADS_DIR'] }),
    maxMegabytes: z
      .number()
      .int()
      .min(1)
      .max(1_000_000)
      .default(1024)
      .describe('where it holds more, the backup and so the release is refused'),
  })
  .describe('a directory that outlives releases');
