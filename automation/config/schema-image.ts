import { z } from 'zod';
import { name, relativePath } from './scalars.ts';

/** Container images of services, and the engine that builds and runs them. */

const common = {
  root: z
    .boolean()
    .default(false)
    .describe('true: it may run as root, without privileges of root; false: an image without USER is refused'),
  readOnly: z
    .boolean()
    .default(true)
    .describe(
      'true: the application can write nowhere but in /tmp; false: also in its image, and that is gone with the instance',
    ),
};

const built = z.strictObject({
  dockerfile: relativePath.meta({
    description:
      "path of the Dockerfile; it is built with the build argument GREENLIGHT_VERSION, by the engine's command line",
    examples: ['Dockerfile'],
  }),
  context: relativePath.default('.').describe('directory that the Dockerfile copies from'),
  target: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'stage of the Dockerfile to build; default: the last one', examples: ['production'] }),
  args: z
    .record(z.string().regex(/^\w+$/, 'use letters, digits and underscores'), z.string())
    .default({})
    .describe('more build arguments; no secrets: they stay in the image'),
  ...common,
});

const named = z.strictObject({
  reference: z
    .string()
    .regex(
      /^[a-z0-9][\w.-]*(:\d+)?(\/[\w.-]+)*(:[\w.{}-]+)?(@sha256:[0-9a-f]{64})?$/,
      'give the name of an image, such as registry.example.com/team/shop:{version}',
    )
    .meta({
      description: 'image in a registry; {version} in it is the version that is released',
      examples: ['registry.example.com/team/shop:{version}'],
    }),
  ...common,
});

export const image = z
  .union([built, named])
  .describe('container image to run it from (platform local): { dockerfile } or { reference }');

export const limits = z
  .strictObject({
    memoryMegabytes: z
      .number()
      .int()
      .min(16)
      .optional()
      .meta({
        description: 'memory of an instance; one that wants more is ended and started again; default: 512',
        examples: [512],
      }),
    cpus: z
      .number()
      .min(0.1)
      .optional()
      .meta({ description: 'processors of an instance; default: 1', examples: [1] }),
  })
  .describe('what an instance may use at most; for services with an image');

export const registry = z
  .string()
  .regex(/^[a-z0-9][\w.-]*(:\d+)?(\/[a-z0-9][\w.-]*)*$/, 'give host and path, such as registry.example.com/team')
  .optional()
  .meta({
    description: 'images of services are pushed there too, as <registry>/<application>/<service>:<version>',
    examples: ['registry.example.com/team'],
  });

export const engine = z
  .enum(['auto', 'podman', 'docker'])
  .default('auto')
  .describe('container engine for services with an image; auto: podman where it answers, else docker');

export const jobImage = name.optional().meta({
  description:
    'service in whose image migrations, seeds and tests run; default: in what application.build wrote, and without it in the image of the first service that has one',
  examples: ['web'],
});
