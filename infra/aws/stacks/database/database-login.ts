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

/** Days in which a deleted secret can be brought back. The shortest: another can be made under its name meanwhile. */
export const recoveryDays = 7;

/**
 * What a role of the database logs in with: its URL, in Secrets Manager. The password is new with each instance, and stays
 * as long: tasks read it as they start, so one that changed while they run would lock them out.
 */
export class DatabaseLogin extends Component {
  readonly secret: Secret;
  /** The version that holds the URL: who depends on it finds one. */
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
  const nobody = { user: administrator, password: '' };
  const access = { host, port, database: applicationDatabase, caFile: authoritiesFile, admin: nobody };
  return databaseUrl({ ...access, owner: login, app: login }, role);
}
