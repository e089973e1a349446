import * as pulumi from '@pulumi/pulumi';
import type { Instance } from '@pulumi/aws/rds/instance.js';
import { Secret } from '@pulumi/aws/secretsmanager/secret.js';
import { SecretVersion } from '@pulumi/aws/secretsmanager/secretVersion.js';
import { RandomPassword } from '@pulumi/random/randomPassword.js';
import { databaseUrl, type DatabaseAccess, type Login } from '../../../application/database-url.ts';
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
  /** Secret, as it has the password. */
  readonly login: pulumi.Output<DatabaseAccess>;

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
    this.login = pulumi
      .all([instance.address, instance.port, result])
      .apply(([host, port, password]) => accessOf(host, port, { user: role, password }));
    const url = this.login.apply((access) => databaseUrl(access, role));
    ({ secret: this.secret, version: this.version } = secretValue(name, url, { keyArn, place }, this));
    this.registerOutputs({});
  }
}

/** A secret with a value that Pulumi makes. */
export function secretValue(
  name: string,
  value: pulumi.Input<string>,
  { keyArn, place }: { keyArn: pulumi.Input<string>; place: Place },
  parent: pulumi.Resource,
): { secret: Secret; version: SecretVersion } {
  const args = { kmsKeyId: keyArn, recoveryWindowInDays: recoveryDays, tags: place.tags };
  const secret = new Secret(name, args, { parent });
  return { secret, version: new SecretVersion(name, { secretId: secret.id, secretString: value }, { parent }) };
}

function accessOf(host: string, port: number, login: Login): DatabaseAccess {
  const noLogin = { user: administrator, password: '' };
  return {
    host,
    port,
    database: applicationDatabase,
    caFile: authoritiesFile,
    admin: noLogin,
    owner: login,
    app: login,
  };
}
