import type * as pulumi from '@pulumi/pulumi';
import { OpenIdConnectProvider } from '@pulumi/aws/iam/openIdConnectProvider.js';
import { Role } from '@pulumi/aws/iam/role.js';
import { RolePolicyAttachment } from '@pulumi/aws/iam/rolePolicyAttachment.js';
import { policyDocument } from '../rights/iam.ts';
import { PipelineComponent, type PipelinePlace } from './component.ts';
import type { PipelineSettings } from './settings.ts';

const issuer = 'token.actions.githubusercontent.com';
/** Seconds. A release with its bake time takes longer than the default of one hour. */
const longestSession = 8 * 60 * 60;

/**
 * Lets workflows of one repository release without a stored key, by OpenID Connect. GitHub's token names the GitHub
 * environment of the job, which its reviewers have approved.
 */
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
    // The environment, not the branch: a workflow trusted by its branch would bypass the environment's reviewers.
    const trust = trustIn(
      providerArn,
      `${repositoryIn(this.place.settings)}:environment:${this.place.settings.githubEnvironment}`,
    );
    const args = { assumeRolePolicy: trust, maxSessionDuration: longestSession, tags: this.place.tags };
    return new Role(this.named('github-release'), args, this.child);
  }
}

/** The repository in the token's subject: `repo:owner/name`, or `repo:owner@1/name@2` with the ids. */
function repositoryIn({ repository, githubIds }: PipelineSettings): string {
  if (githubIds === undefined) return `repo:${repository}`;
  const [owner, name] = repository.split('/');
  return `repo:${owner}@${githubIds.owner}/${name}@${githubIds.repository}`;
}

/** The subject has no wildcard: that would admit other environments or repositories. */
const trustIn = (provider: pulumi.Input<string>, subject: string) =>
  policyDocument([
    {
      Effect: 'Allow',
      Principal: { Federated: provider },
      Action: 'sts:AssumeRoleWithWebIdentity',
      Condition: { StringEquals: { [`${issuer}:aud`]: 'sts.amazonaws.com', [`${issuer}:sub`]: subject } },
    },
  ]);
