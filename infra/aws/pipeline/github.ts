import type * as pulumi from '@pulumi/pulumi';
import { OpenIdConnectProvider } from '@pulumi/aws/iam/openIdConnectProvider.js';
import { Role } from '@pulumi/aws/iam/role.js';
import { RolePolicyAttachment } from '@pulumi/aws/iam/rolePolicyAttachment.js';
import { policyDocument } from '../rights/iam.ts';
import { PipelineComponent, type PipelinePlace } from './component.ts';
import type { PipelineSettings } from './settings.ts';

const issuer = 'token.actions.githubusercontent.com';
/** Seconds: 8 hours, as a release with its bake time takes longer than the default of one. */
const longestSession = 8 * 60 * 60;

/** Lets workflows of one repository release, without a stored key: GitHub vouches for the environment that their reviewers let them into. */
export class GithubRole extends PipelineComponent {
  readonly role: Role;

  constructor(place: PipelinePlace, options: pulumi.ComponentResourceOptions) {
    super('GithubRole', 'github', place, options);
    this.role = this.#role(place.settings.githubProviderArn ?? this.#provider().arn);
    place.settings.releasePolicyArns.forEach((policyArn, i) => {
      new RolePolicyAttachment(this.named(`github-${i + 1}`), { role: this.role.name, policyArn }, this.child);
    });
    this.registerOutputs({});
  }

  #provider() {
    const args = { url: `https://${issuer}`, clientIdLists: ['sts.amazonaws.com'], tags: this.place.tags };
    return new OpenIdConnectProvider(this.named('github'), args, this.child);
  }

  #role(providerArn: pulumi.Input<string>) {
    // Not by its branch: such a workflow would pass by the reviewers of the environment.
    const trust = trustIn(
      providerArn,
      `${repositoryIn(this.place.settings)}:environment:${this.place.settings.githubEnvironment}`,
    );
    const args = { assumeRolePolicy: trust, maxSessionDuration: longestSession, tags: this.place.tags };
    return new Role(this.named('github-release'), args, this.child);
  }
}

/** As GitHub writes it: `repo:owner/name`, or `repo:owner@1/name@2` with the ids. */
function repositoryIn({ repository, githubIds }: PipelineSettings): string {
  if (githubIds === undefined) return `repo:${repository}`;
  const [owner, name] = repository.split('/');
  return `repo:${owner}@${githubIds.owner}/${name}@${githubIds.repository}`;
}

/** The subject in full: one with a wildcard lets other environments, or other repositories, in. */
const trustIn = (provider: pulumi.Input<string>, subject: string) =>
  policyDocument([
    {
      Effect: 'Allow',
      Principal: { Federated: provider },
      Action: 'sts:AssumeRoleWithWebIdentity',
      Condition: { StringEquals: { [`${issuer}:aud`]: 'sts.amazonaws.com', [`${issuer}:sub`]: subject } },
    },
  ]);
