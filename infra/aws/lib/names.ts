import type { EnvironmentName } from '../../model.ts';

/** Port on which a service listens in its container. */
export const servicePort = 3000;
export const databasePort = 5432;

/** Name of the databases' master user. RDS reserves `admin` on PostgreSQL. */
export const administrator = 'greenlight_admin';

/** Where images hold RDS's certificate authorities: see infra/aws/Dockerfile. */
export const authoritiesFile = '/etc/ssl/rds/global-bundle.pem';

/**
 * Permissions boundary of an environment's roles. An administrator creates it with the rights to release
 * (`release-rights.ts`).
 */
export const boundaryName = 'greenlight-boundary';

/**
 * AWS's managed policy for AWS Backup, which AWS keeps up to date. Also the permissions boundary of the backup role.
 */
export const backupPolicy = 'arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup';

/** Tag of a build's image, from the digest of its content. A tag may not contain a colon. */
export const imageTag = (digest: string): string => digest.replace(':', '-');

/** Prefix of the names of the secrets that one-off tasks read. Their execution role may read no others. */
export const jobSecretPrefix = (environment: EnvironmentName): string => `greenlight/${environment}/job-`;
