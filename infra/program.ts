import * as pulumi from '@pulumi/pulumi';
import { stackKinds, stackName, type EnvironmentName, type EnvironmentSpec, type StackKind } from './model.ts';
import { fromPulumiConfig } from './stacks.ts';
import { colourStack } from './local/colour.ts';
import { foundationStack } from './local/foundation.ts';
import { trafficStack } from './local/traffic.ts';

export type Program = () => Promise<Record<string, pulumi.Input<unknown>>>;

/** Stack name -> program, for the Automation API and `Pulumi.yaml` alike. What it declares follows from its configuration. */
export function programFor(environment: EnvironmentName, kind: StackKind): Program {
  return async () => {
    const config = new pulumi.Config('greenlight');
    const platform = config.require('platform');
    if (platform !== 'local') throw new Error(`greenlight:platform is "${platform}": it must be local`);
    const stack = fromPulumiConfig(kind, (key) => config.require(key));
    switch (stack.kind) {
      case 'foundation':
        return foundationStack(
          stack.spec,
          config.getSecretObject<EnvironmentSpec['alertReceivers']>('alertReceivers') ?? [],
        );
      case 'traffic':
        return trafficStack(environment, stack.split);
      case 'blue':
      case 'green':
        return colourStack(environment, stack.colour);
    }
  };
}

/** For `pulumi preview` by hand: the program of the selected stack. */
export default async function selectedStack(): Promise<Record<string, pulumi.Input<unknown>>> {
  const selected = pulumi.getStack();
  for (const environment of ['staging', 'production'] as const) {
    const kind = stackKinds.find((candidate) => stackName(environment, candidate) === selected);
    if (kind !== undefined) return await programFor(environment, kind)();
  }
  throw new Error(`${selected} is no stack of Greenlight: use <staging|production>-<${stackKinds.join('|')}>`);
}
