import { z } from 'zod';
import { awsShape, consistent, domain, type AwsSettings } from '../../infra/aws/settings.ts';
import type { EnvironmentName } from '../../infra/model.ts';
import { name, webUrl } from './scalars.ts';

/** The part of a release definition that only `platform: 'aws'` needs: the settings of `infra/aws`, and a name per environment. */
export const aws = consistent(
  z.strictObject({
    ...awsShape,
    domains: z
      .strictObject({
        staging: domain.meta({ description: 'of staging', examples: ['staging.example.org'] }),
        production: domain.meta({ description: 'of production', examples: ['app.example.org'] }),
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
  const { domains, integrations: _ofTheServices, ...common } = section;
  return { ...common, domain: domains[environment] };
}
