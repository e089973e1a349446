import { databaseFields } from '../../../infra/application/database-url.ts';
import { jobEnvironment } from '../../../infra/application/environment.ts';
import type { EnvironmentName } from '../../../infra/model.ts';
import type { Environment } from '../../../infra/platform/environment.ts';
import type { Platform } from '../../../infra/platform/platform.ts';
import type { ReleaseDefinition } from '../../config/schema.ts';

/**
 * The environment, with `application.jobs.env` in every job of the application: migrations, seeds and tests. What the definition says
 * comes before what a job is told otherwise. A job in a third party's image, such as the load, is none of the application's.
 */
export function withJobEnvironment<E extends Pick<Environment, 'jobs'>>(
  environment: E,
  {
    platform,
    definition,
    name,
  }: { platform: Pick<Platform, 'secrets'>; definition: ReleaseDefinition; name: EnvironmentName },
): E {
  const own = definition.application.jobs.env;
  const { jobs } = environment;
  if (Object.keys(own).length === 0) return environment;
  return {
    ...environment,
    jobs: {
      async run(job) {
        if (job.image !== undefined) return jobs.run(job);
        const values = (await platform.secrets?.values(name)) ?? {};
        const { database } = job;
        const env = jobEnvironment(own, {
          version: job.artefact.version,
          environment: name,
          secretOf: (secret) => values[secret],
          ...(database === undefined ? {} : { database: databaseFields(database.access, database.role) }),
        });
        return jobs.run({ ...job, env: { ...job.env, ...env } });
      },
    },
  };
}
