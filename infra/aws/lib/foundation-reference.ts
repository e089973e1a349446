import * as pulumi from '@pulumi/pulumi';
import type { Colour, EnvironmentName, EnvironmentSpec } from '../../model.ts';
import { stackReference } from '../../stacks.ts';

/** What the other stacks of the environment read of its foundation, and what the run time needs to reach it. */
export interface FoundationOutputs {
  spec: EnvironmentSpec;
  baseUrl: string;
  network: NetworkOutputs;
  securityGroups: Record<keyof AccessGroups, string>;
  listenerArn: string;
  /** `app/<name>/<id>`, as the dimensions of CloudWatch have it. */
  balancerSuffix: string;
  fenceTargetGroupArn: string;
  cluster: { name: string; arn: string };
  repository: { url: string; arn: string };
  keyArn: string;
  /** Artefacts, reports and evidence. */
  bucket: string;
  alarmTopicArn: string;
  deliveryQueueUrl: string;
  /** Secret that holds the value of `x-greenlight-secret`: stacks read the output, the run time reads the secret. */
  routeSecretArn: string;
  /** What one-off tasks (jobs, previews) run with: their definitions are made at run time, one per artefact. */
  jobs: { executionRoleArn: string; taskRoleArn: string; logGroup: string };
  /** What databases for one rehearsal are made with, at run time. */
  scratch: { subnetGroup: string; parameterGroup: string };
}

/** What the traffic stack reads of a colour: its target groups, by service. */
export type TargetGroupArns = Record<string, string>;

type OutputReader = <T>(name: string) => Promise<T>;

/** Reads outputs of another stack of the environment, which throws an Error where that is not up yet. */
function reader(environment: EnvironmentName, kind: 'foundation' | Colour): OutputReader {
  const reference = new pulumi.StackReference(stackReference(environment, kind));
  return async <T>(name: string) => {
    const { value, secretValue } = (await reference.getOutputDetails(name)) as {
      value?: unknown;
      secretValue?: unknown;
    };
    const found = value ?? secretValue;
    if (found === undefined) throw new Error(`the stack ${environment}-${kind} has no ${name}: bring it up first`);
    return found as T;
  };
}

/** All that the foundation recorded, with the header route's secret, which stays one. */
export async function readFoundation(
  environment: EnvironmentName,
): Promise<{ foundation: FoundationOutputs; routeSecret: pulumi.Output<string> }> {
  const read = reader(environment, 'foundation');
  const [foundation, secret] = await Promise.all([read<FoundationOutputs>('foundation'), read<string>('routeSecret')]);
  return { foundation, routeSecret: pulumi.secret(secret) };
}

/** Throws an Error where no version runs on the colour: nothing can be sent there. */
export const readTargetGroups = (environment: EnvironmentName, colour: Colour): Promise<TargetGroupArns> =>
  reader(environment, colour)<TargetGroupArns>('targetGroups');

export type AccessGroups = Record<'entry' | 'tasks' | 'databases' | 'endpoints', pulumi.Output<string>>;

export interface NetworkOutputs {
  vpcId: string;
  publicSubnetIds: string[];
  privateSubnetIds: string[];
  isolatedSubnetIds: string[];
}
