import type * as pulumi from '@pulumi/pulumi';
import type { Project } from '@pulumi/aws/codebuild/project.js';
import { Pipeline } from '@pulumi/aws/codepipeline/pipeline.js';
import { serviceRole, type Statement } from '../rights/iam.ts';
import { PipelineComponent, type PipelinePlace } from './component.ts';

/** Releases what is pushed to the release branch. */
export class ReleasePipeline extends PipelineComponent {
  readonly pipeline: Pipeline;
  readonly #release: Project;

  constructor(release: Project, place: PipelinePlace, options: pulumi.ComponentResourceOptions) {
    super('ReleasePipeline', 'release-pipeline', place, options);
    this.#release = release;
    this.pipeline = this.#pipeline();
    this.registerOutputs({});
  }

  #pipeline() {
    const { settings, tags } = this.place;
    const { bucket, keyArn } = settings.state;
    return new Pipeline(
      this.named('release'),
      {
        name: this.named('release'),
        // The default, V1, has no triggers by branch.
        pipelineType: 'V2',
        // Of pushes that wait for a release to end, only the newest is released.
        executionMode: 'SUPERSEDED',
        roleArn: this.#role().arn,
        artifactStores: [{ type: 'S3', location: bucket, encryptionKey: { type: 'KMS', id: keyArn } }],
        triggers: [this.#onPush()],
        stages: [
          { name: 'Source', actions: [this.#source()] },
          { name: 'Release', actions: [this.#build()] },
        ],
        tags,
      },
      this.child,
    );
  }

  #onPush() {
    const pushes = [{ branches: { includes: [this.place.settings.branch] } }];
    return { providerType: 'CodeStarSourceConnection', gitConfiguration: { sourceActionName: 'Source', pushes } };
  }

  #source() {
    const { repository, branch, connectionArn } = this.place.settings;
    return {
      name: 'Source',
      category: 'Source',
      owner: 'AWS',
      provider: 'CodeStarSourceConnection',
      version: '1',
      outputArtifacts: ['source'],
      configuration: {
        ConnectionArn: connectionArn,
        FullRepositoryId: repository,
        BranchName: branch,
        // By default only the files. A release records commit and branch, which needs a clone.
        OutputArtifactFormat: 'CODEBUILD_CLONE_REF',
      },
    };
  }

  #build() {
    return {
      name: 'Release',
      category: 'Build',
      owner: 'AWS',
      provider: 'CodeBuild',
      version: '1',
      inputArtifacts: ['source'],
      configuration: { ProjectName: this.#release.name },
    };
  }

  #role() {
    const { place } = this;
    const { connectionArn, state } = place.settings;
    const { bucket, keyArn } = state;
    // A pipeline writes below the first 20 characters of its own name.
    const own = `arn:aws:s3:::${bucket}/${this.named('release').slice(0, 20)}*`;
    const statements: Statement[] = [
      { Effect: 'Allow', Action: 'codeconnections:UseConnection', Resource: connectionArn },
      { Effect: 'Allow', Action: ['codebuild:StartBuild', 'codebuild:BatchGetBuilds'], Resource: this.#release.arn },
      { Effect: 'Allow', Action: ['s3:GetObject', 's3:GetObjectVersion', 's3:PutObject'], Resource: own },
      {
        Effect: 'Allow',
        Action: ['s3:GetBucketVersioning', 's3:GetBucketLocation'],
        Resource: `arn:aws:s3:::${bucket}`,
      },
      { Effect: 'Allow', Action: ['kms:Decrypt', 'kms:GenerateDataKey'], Resource: keyArn },
    ];
    return serviceRole(this.named('pipeline'), { place, service: 'codepipeline.amazonaws.com', statements }, this);
  }
}
