import type * as pulumi from '@pulumi/pulumi';
import { Plan } from '@pulumi/aws/backup/plan.js';
import { Selection } from '@pulumi/aws/backup/selection.js';
import { Vault } from '@pulumi/aws/backup/vault.js';
import { RolePolicyAttachment } from '@pulumi/aws/iam/rolePolicyAttachment.js';
import { serviceRole } from '../../rights/iam.ts';
import { backupPolicy } from '../../lib/names.ts';
import { backupTag, Component, type Place } from '../../lib/place.ts';

/**
 * Daily backups, copied to a second region, in addition to those of a release. They cover the loss of the region, and
 * the loss of the instances together with their automated backups.
 */
export class BackupPlan extends Component {
  constructor(
    keys: { data: pulumi.Input<string>; copies: pulumi.Input<string> },
    place: Place,
    options: pulumi.ComponentResourceOptions,
  ) {
    super('BackupPlan', `${place.environment}-backup-plan`, place, options);
    const { region, backupRegion } = place.settings;
    const vault = this.#vault('backups', region, keys.data);
    const copies = this.#vault('backup-copies', backupRegion, keys.copies);
    const plan = this.#plan(vault, copies);
    this.#select(plan);
    this.registerOutputs({});
  }

  #vault(name: string, region: string, kmsKeyArn: pulumi.Input<string>) {
    const args = { region, kmsKeyArn, tags: this.place.tags };
    return new Vault(this.named(name), args, { parent: this, protect: this.place.production });
  }

  #plan(vault: Vault, copies: Vault) {
    const { settings, tags } = this.place;
    const lifecycle = { deleteAfter: settings.backupDays };
    return new Plan(
      this.named('daily'),
      {
        rules: [
          {
            ruleName: 'daily',
            targetVaultName: vault.name,
            // UTC; after the day's releases, before the nightly rehearsal.
            schedule: 'cron(0 1 * * ? *)',
            startWindow: 60,
            completionWindow: 360,
            lifecycle,
            copyActions: [{ destinationVaultArn: copies.arn, lifecycle }],
            recoveryPointTags: tags,
          },
        ],
        tags,
      },
      this.child,
    );
  }

  /** Selects by tag, so that the database of a new colour is backed up from its first day. */
  #select(plan: Plan) {
    const { place } = this;
    const bounded = { ...place, boundary: backupPolicy };
    const role = serviceRole(
      this.named('backup'),
      { place: bounded, service: 'backup.amazonaws.com', statements: [] },
      this,
    );
    const attachment = new RolePolicyAttachment(
      this.named('backup'),
      { role: role.name, policyArn: backupPolicy },
      this.child,
    );
    const selectionTags = Object.entries(backupTag(place)).map(([key, value]) => ({
      type: 'STRINGEQUALS',
      key,
      value,
    }));
    const args = { planId: plan.id, iamRoleArn: role.arn, selectionTags };
    new Selection(this.named('tagged'), args, { parent: this, dependsOn: attachment });
  }
}
