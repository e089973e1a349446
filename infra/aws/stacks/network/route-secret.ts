import type * as pulumi from '@pulumi/pulumi';
import { Secret } from '@pulumi/aws/secretsmanager/secret.js';
import { SecretVersion } from '@pulumi/aws/secretsmanager/secretVersion.js';
import { RandomPassword } from '@pulumi/random/randomPassword.js';
import { recoveryDays } from '../database/database-login.ts';
import { Component, type Place } from '../../lib/place.ts';

/**
 * Value of the header `x-greenlight-secret`. Stacks read it from the state, the runtime reads it from Secrets Manager.
 */
export class RouteSecret extends Component {
  /** Letters and digits only: `*` and `?` are wildcards in a listener's rule. */
  readonly value: pulumi.Output<string>;
  readonly arn: pulumi.Output<string>;

  constructor(keyArn: pulumi.Input<string>, place: Place, options: pulumi.ComponentResourceOptions) {
    super('RouteSecret', `${place.environment}-route`, place, options);
    const name = this.named('route');
    this.value = new RandomPassword(name, { length: 48, special: false }, this.child).result;
    const secret = new Secret(
      name,
      { kmsKeyId: keyArn, recoveryWindowInDays: recoveryDays, tags: place.tags },
      this.child,
    );
    const version = new SecretVersion(name, { secretId: secret.id, secretString: this.value }, this.child);
    // The ARN of the version, so that the secret has a value once the ARN is known.
    this.arn = version.arn;
    this.registerOutputs({});
  }
}
