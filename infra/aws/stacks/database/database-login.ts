import * as pulumi from '@pulumi/pulumi';
import type { Instance } from '@pulumi/aws/rds/instance.js';
import { Secret } from '@pulumi/aws/secretsmanager/secret.js';
import { SecretVersion } from '@pulumi/aws/secretsmanager/secretVersion.js';
import { RandomPassword } from '@pulumi/random/randomPassword.js';
import { databaseUrl } from '../../../application/database-url.ts';
import { applicationDatabase } from '../../../application/roles.ts';
import type { DatabaseArgs } from './database.ts';
import { administrator, authoritiesFile } from '../../lib/names.ts';
import { Component, type Place } from '../../lib/place.ts';

/** Recovery window of deleted secrets in days: AWS's minimum. */
export const recoveryDays = 7;

/**
 * The URL with which a database role logs in, in Secrets Manager. The password lives as long as the instance: tasks
 * read it when they start, so changing it while they run would lock them out.
 */
export class DatabaseLogin extends Component {
  readonly secret: Secret;
  /** The version that holds the URL. A resource that depends on it, not only on the secret, finds a value. */
  readonly version: SecretVersion;

  constructor(
    role: 'owner' | 'app',
    { instance, colour, keyArn }: Pick<DatabaseArgs, 'colour' | 'keyArn'> & { instance: Instance },
    place: Place,
    options: pulumi.ComponentResourceOptions,
  ) {
    super('DatabaseLogin', `${place.environment}-${colour}-${role}`, place, options);
    const name = this.named(`${colour}-${role}`);
    const keepers = { instance: instance.resourceId };
    const { result } = new RandomPassword(name, { length: 40, special: false, keepers }, this.child);
    this.secret = new Secret(
      name,
      { kmsKeyId: keyArn, recoveryWindowInDays: recoveryDays, tags: place.tags },
      this.child,
    );
    const url = pulumi
      .all([instance.address, instance.port, result])
      .apply(([host, port, password]) => roleUrl(role, host, port, password));
    const args = { secretId: this.secret.id, secretString: url };
    this.version = new SecretVersion(name, args, this.child);
    this.registerOutputs({});
  }
}

function roleUrl(role: 'owner' | 'app', host: string, port: number, password: string): string {
  const login = { user: role, password };
  const noLogin = { user: administrator, password: '' };
  const access = { host, port, database: applicationDatabase, caFile: authoritiesFile, admin: noLogin };
  return databaseUrl({ ...access, owner: login, app: login }, role);
}
