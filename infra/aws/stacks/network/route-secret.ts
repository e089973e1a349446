import type * as pulumi from '@pulumi/pulumi';
import { Secret } from '@pulumi/aws/secretsmanager/secret.js';
import { SecretVersion } from '@pulumi/aws/secretsmanager/secretVersion.js';
import { RandomPassword } from '@pulumi/random/randomPassword.js';
import { recoveryDays } from '../database/database-login.ts';
import { Component, type Place } from '../../lib/place.ts';

/** Value of `x-greenlight-secret`: in the state for the stacks, and in Secrets Manager for a release that only calls AWS. */
export class RouteSecret extends Component {
  /** Letters and digits: in a rule `*` and `?` would match anything. */
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
    // Who has the ARN finds a value.
    this.arn = version.arn;
    this.registerOutputs({});
  }
}
