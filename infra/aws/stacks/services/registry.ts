import type * as pulumi from '@pulumi/pulumi';
import { LifecyclePolicy } from '@pulumi/aws/ecr/lifecyclePolicy.js';
import { Repository } from '@pulumi/aws/ecr/repository.js';
import { Component, type Place } from '../../lib/place.ts';

/** Images kept: far more than anybody rolls back over. */
const keptImages = 50;

/** The environment's own images: staging's tasks cannot pull production's, nor push them. */
export class Registry extends Component {
  readonly repository: Repository;

  constructor(keyArn: pulumi.Input<string>, place: Place, options: pulumi.ComponentResourceOptions) {
    super('Registry', `${place.environment}-registry`, place, options);
    this.repository = new Repository(
      this.named('images'),
      {
        name: `${place.tags['application']}/${place.environment}`,
        // Default: a tag can be moved, and what was tested is not what runs.
        imageTagMutability: 'IMMUTABLE',
        imageScanningConfiguration: { scanOnPush: true },
        encryptionConfigurations: [{ encryptionType: 'KMS', kmsKey: keyArn }],
        // Images of staging are made again from their artefacts.
        forceDelete: !place.production,
        tags: place.tags,
      },
      this.child,
    );
    this.#forgets();
    this.registerOutputs({});
  }

  #forgets() {
    const expire = { type: 'expire' };
    const policy = {
      rules: [
        {
          rulePriority: 1,
          description: 'Uploads that got no tag',
          selection: { tagStatus: 'untagged', countType: 'sinceImagePushed', countUnit: 'days', countNumber: 7 },
          action: expire,
        },
        {
          rulePriority: 2,
          description: 'All but the newest builds',
          selection: { tagStatus: 'any', countType: 'imageCountMoreThan', countNumber: keptImages },
          action: expire,
        },
      ],
    };
    const args = { repository: this.repository.name, policy: JSON.stringify(policy) };
    new LifecyclePolicy(this.named('images'), args, this.child);
  }
}
