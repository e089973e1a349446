import * as pulumi from '@pulumi/pulumi';
import type { Colour, EnvironmentName, EnvironmentSpec } from '../../model.ts';
import { stackReference } from '../../stacks.ts';

/** Outputs of the foundation, for the other stacks of the environment and for the runtime. */
export interface FoundationOutputs {
  spec: EnvironmentSpec;
  baseUrl: string;
  network: NetworkOutputs;
  securityGroups: Record<keyof AccessGroups, string>;
  listenerArn: string;
  /** `app/<name>/<id>`: the value of CloudWatch's dimension `LoadBalancer`. */
  balancerSuffix: string;
  fenceTargetGroupArn: string;
  cluster: { name: string; arn: string };
  repository: { url: string; arn: string };
  keyArn: string;
  /** Artefacts, reports and evidence. */
  bucket: string;
  alarmTopicArn: string;
  deliveryQueueUrl: string;
  /**
   * Secret that holds the value of `x-greenlight-secret`. Stacks read the output `routeSecret`, the runtime reads this
   * secret.
   */
  routeSecretArn: string;
  /** For one-off tasks (jobs, previews), whose task definitions are registered at run time. */
  jobs: { executionRoleArn: string; taskRoleArn: string; logGroup: string };
  /** For the temporary databases of a rehearsal, which are created at run time. */
  scratch: { subnetGroup: string; parameterGroup: string };
}

/** Target groups of a colour, by service. */
export type TargetGroupArns = Record<string, string>;

type OutputReader = <T>(name: string) => Promise<T>;

/** Reads outputs of another stack of the environment. The reader throws an Error if that stack is not up. */
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

/** The foundation's outputs, and the secret of the header route, which stays marked as a secret. */
export async function readFoundation(
  environment: EnvironmentName,
): Promise<{ foundation: FoundationOutputs; routeSecret: pulumi.Output<string> }> {
  const read = reader(environment, 'foundation');
  const [foundation, secret] = await Promise.all([read<FoundationOutputs>('foundation'), read<string>('routeSecret')]);
  return { foundation, routeSecret: pulumi.secret(secret) };
}

/** Throws an Error if no version runs on the colour. */
export const readTargetGroups = (environment: EnvironmentName, colour: Colour): Promise<TargetGroupArns> =>
  reader(environment, colour)<TargetGroupArns>('targetGroups');

export type AccessGroups = Record<'entry' | 'tasks' | 'databases' | 'endpoints', pulumi.Output<string>>;

export interface NetworkOutputs {
  vpcId: string;
  publicSubnetIds: string[];
  privateSubnetIds: string[];
  isolatedSubnetIds: string[];
}
