import type * as pulumi from '@pulumi/pulumi';
import { LifecyclePolicy } from '@pulumi/aws/ecr/lifecyclePolicy.js';
import { Repository } from '@pulumi/aws/ecr/repository.js';
import { Component, type Place } from '../../lib/place.ts';

/** Images kept: far more than a rollback needs. */
const keptImages = 50;

/** The image repository of one environment: staging's tasks can neither pull nor push production's images. */
export class Registry extends Component {
  readonly repository: Repository;

  constructor(keyArn: pulumi.Input<string>, place: Place, options: pulumi.ComponentResourceOptions) {
    super('Registry', `${place.environment}-registry`, place, options);
    this.repository = new Repository(
      this.named('images'),
      {
        name: `${place.tags['application']}/${place.environment}`,
        // By default a tag can be moved, so that what runs could differ from what was tested.
        imageTagMutability: 'IMMUTABLE',
        imageScanningConfiguration: { scanOnPush: true },
        encryptionConfigurations: [{ encryptionType: 'KMS', kmsKey: keyArn }],
        // Staging's images can be rebuilt from their artefacts.
        forceDelete: !place.production,
        tags: place.tags,
      },
      this.child,
    );
    this.#expireImages();
    this.registerOutputs({});
  }

  #expireImages() {
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
