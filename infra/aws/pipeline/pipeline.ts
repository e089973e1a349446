import * as pulumi from '@pulumi/pulumi';
import { Provider } from '@pulumi/aws/provider.js';
import { Build } from './build.ts';
import { PipelineComponent, pipelinePlace, type PipelinePlace } from './component.ts';
import { GithubRole } from './github.ts';
import { PipelineKey } from './key.ts';
import { NightlyRehearsal } from './nightly.ts';
import { PipelineNotifications } from './notifications.ts';
import { Peering } from './peering.ts';
import { ReleasePipeline } from './release.ts';
import { parsePipelineSettings, pipelineSettingsKey } from './settings.ts';
import { greenlight } from '../../lib/command.ts';

/**
 * The program of the stack `pipeline`. There is one per account, beside the environments, and it is brought up by hand.
 */
export function pipelineProgram(): Record<string, pulumi.Input<unknown>> {
  const settings = parsePipelineSettings(new pulumi.Config('greenlight').requireObject(pipelineSettingsKey));
  const { region, accountId } = settings;
  const provider = new Provider('aws', { region, allowedAccountIds: [accountId] });
  return new ReleaseAutomation(pipelinePlace(settings), { providers: [provider] }).outputs;
}

/**
 * Automated releases: on a push to the release branch, every night as a rehearsal on staging, and by workflows of
 * GitHub.
 */
class ReleaseAutomation extends PipelineComponent {
  readonly outputs: Record<string, pulumi.Input<unknown>>;

  constructor(place: PipelinePlace, options: pulumi.ComponentResourceOptions) {
    super('ReleaseAutomation', 'automation', place, options);
    const own = this.child;
    const keyArn = new PipelineKey(place, own).key.arn;
    const common = { keyArn, securityGroupIds: this.#peered() };

    const release = new Build(
      { name: 'release', command: greenlight('release', '--yes'), source: 'pipeline', ...common },
      place,
      own,
    );
    const rehearsal = new Build(
      { name: 'rehearse', command: greenlight('rehearse'), source: 'repository', ...common },
      place,
      own,
    );
    const { pipeline } = new ReleasePipeline(release.project, place, own);
    new NightlyRehearsal(rehearsal.project, place, own);
    const failures = { pipelineArn: pipeline.arn, rehearsalArn: rehearsal.project.arn, keyArn };
    new PipelineNotifications(failures, place, own);
    const github = new GithubRole(place, own);

    this.outputs = { pipeline: pipeline.name, githubRoleArn: github.role.arn };
    this.registerOutputs({});
  }

  /** Security groups with which builds reach the other environment. Empty without a peer. */
  #peered(): pulumi.Output<string>[] {
    const { network } = this.place.settings;
    if (network?.peer === undefined) return [];
    return [new Peering({ ...network, peer: network.peer }, this.place, this.child).securityGroupId];
  }
}
