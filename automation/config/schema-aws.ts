import { isIP } from 'node:net';
import { z } from 'zod';
import { cidrBlock, overlap } from '../../infra/aws/cidr.ts';
import { awsShape, consistent, domain, type AwsSettings } from '../../infra/aws/settings.ts';
import type { EnvironmentName } from '../../infra/model.ts';
import { name, webUrl } from './scalars.ts';

const { cidrBlock: _ofOneEnvironment, ...shared } = awsShape;

/** Networks that share addresses cannot be peered, and a release has to reach both. */
const cidrBlocks = z
  .strictObject({
    staging: cidrBlock.default('10.0.0.0/16').describe('of staging'),
    production: cidrBlock.default('10.1.0.0/16').describe('of production'),
  })
  .refine(({ staging, production }) => !overlap(staging, production), {
    message: 'must not overlap: a release reaches both networks, and they are peered for it',
  })
  .prefault({})
  .describe('addresses of the networks');

/** The part of a release definition that only `platform: 'aws'` needs: the settings of `infra/aws`, and a name per environment. */
export const aws = consistent(
  z.strictObject({
    ...shared,
    cidrBlocks,
    domains: z
      .strictObject({
        staging: domain.meta({ description: 'of staging', examples: ['staging.example.org'] }),
        production: domain.meta({ description: 'of production', examples: ['app.example.org'] }),
      })
      // An address is no name in a zone: an emulated account has both environments at one, with ports of their own.
      .refine(({ staging, production }) => staging !== production || isIP(staging) !== 0, {
        path: ['production'],
        message: 'is the name of staging too; both are up at once, so choose another one',
      })
      .describe('names of the entry points, in the hosted zone'),
    integrations: z
      .record(name, webUrl)
      .default({})
      .describe(
        'addresses of integrations that locally are stand-ins, by name: tasks cannot reach a process of this machine',
      ),
  }),
);

/** The settings of one environment's stacks. */
export function awsSettingsOf(section: z.output<typeof aws>, environment: EnvironmentName): AwsSettings {
  const { domains, cidrBlocks, integrations: _ofTheServices, ...common } = section;
  return { ...common, cidrBlock: cidrBlocks[environment], domain: domains[environment] };
}
