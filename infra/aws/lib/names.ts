import type { EnvironmentName } from '../../model.ts';

/** Port on which a service listens in its container. */
export const servicePort = 3000;
export const databasePort = 5432;

/** Login of the databases' administrator. RDS refuses `admin` on PostgreSQL: it is reserved. */
export const administrator = 'greenlight_admin';

/** Where images have the authorities of RDS: see infra/aws/Dockerfile. */
export const authoritiesFile = '/etc/ssl/rds/global-bundle.pem';

/** Policy that bounds what the roles of an environment may ever do: made by hand, with the rights to release (`release-rights.ts`). */
export const boundaryName = 'greenlight-boundary';

/** What AWS Backup may do, as AWS itself defines it: it follows the services that are backed up. Its role's boundary as well. */
export const backupPolicy = 'arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup';

/** Seconds that a task has to finish what it has, after SIGTERM. The same as locally. */
export const stopSeconds = 15;

/** Tag of a build's image. Tags cannot change and have no colon, so the digest of the content is one. */
export const imageTag = (digest: string): string =>
  digest.replace(':', '-'); /** Begin of the names of what one-off tasks read: their roles may read nothing else. */
export const jobSecretPrefix = (environment: EnvironmentName): string => `greenlight/${environment}/job-`;
