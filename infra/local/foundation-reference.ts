import * as pulumi from '@pulumi/pulumi';
import type { EnvironmentName } from '../model.ts';
import { stackReference } from '../stacks.ts';
import type { FoundationOutputs } from './foundation.ts';

/** What the environment's foundation recorded about itself. Throws an Error where it is not up yet. */
export async function readFoundation(environment: EnvironmentName): Promise<FoundationOutputs> {
  const reference = new pulumi.StackReference(stackReference(environment, 'foundation'));
  const read = async (name: string) => {
    const { value } = (await reference.getOutputDetails(name)) as { value?: unknown };
    if (value === undefined) throw new Error(`the stack ${environment}-foundation has no ${name}: bring it up first`);
    return value;
  };
  const [spec, ports, fingerprint, secrets] = await Promise.all(['spec', 'ports', 'fingerprint', 'secrets'].map(read));
  return { spec, ports, fingerprint, secrets } as FoundationOutputs;
}
