import * as pulumi from '@pulumi/pulumi';
import { stackKinds, stackName, type EnvironmentName, type EnvironmentSpec, type StackKind } from './model.ts';
import { fromPulumiConfig, pipelineStack, type StackConfig } from './stacks.ts';

type Outputs = Record<string, pulumi.Input<unknown>>;
export type Program = () => Promise<Outputs>;

/**
 * The program of a stack, for the Automation API and for `Pulumi.yaml`. It reads everything else from the stack
 * configuration.
 */
export function programFor(environment: EnvironmentName, kind: StackKind): Program {
  return async () => {
    const config = new pulumi.Config('greenlight');
    const platform = config.require('platform');
    const stack = fromPulumiConfig(kind, (key) => config.require(key));
    switch (platform) {
      case 'local':
        return localProgram(environment, stack);
      case 'aws':
        return awsProgram(environment, stack);
      default:
        throw new Error(`greenlight:platform is "${platform}": it must be local or aws`);
    }
  };
}

/** Secret, because a webhook is often protected only by a token in the path of its URL. */
const alertReceivers = () =>
  new pulumi.Config('greenlight').getSecretObject<EnvironmentSpec['alertReceivers']>('alertReceivers') ?? [];

async function localProgram(environment: EnvironmentName, stack: StackConfig): Promise<Outputs> {
  switch (stack.kind) {
    case 'foundation':
      return (await import('./local/stacks/foundation.ts')).foundationStack(stack.spec, alertReceivers());
    case 'traffic':
      return (await import('./local/stacks/traffic.ts')).trafficStack(environment, stack.split);
    case 'blue':
    case 'green':
      return (await import('./local/stacks/colour.ts')).colourStack(environment, stack.colour);
  }
}

/** Imports the AWS packages only when they are needed, because they are large. */
async function awsProgram(environment: EnvironmentName, stack: StackConfig): Promise<Outputs> {
  const { awsSettingsKey, parseAwsSettings } = await import('./aws/lib/settings.ts');
  const settings = parseAwsSettings(new pulumi.Config('greenlight').requireObject(awsSettingsKey));
  switch (stack.kind) {
    case 'foundation':
      return (await import('./aws/stacks/foundation.ts')).foundationStack(stack.spec, alertReceivers(), settings);
    case 'traffic':
      return (await import('./aws/stacks/traffic.ts')).trafficStack(environment, stack.split, settings);
    case 'blue':
    case 'green':
      return (await import('./aws/stacks/colour.ts')).colourStack(environment, stack.colour, settings);
  }
}

/**
 * The program of the selected stack, for `pulumi preview` by hand. That needs Pulumi's Node.js language host
 * (Pulumi.yaml).
 */
export default async function selectedStack(): Promise<Record<string, pulumi.Input<unknown>>> {
  const selected = pulumi.getStack();
  for (const environment of ['staging', 'production'] as const) {
    const kind = stackKinds.find((candidate) => stackName(environment, candidate) === selected);
    if (kind !== undefined) return await programFor(environment, kind)();
  }
  if (selected === pipelineStack) return (await import('./aws/pipeline/pipeline.ts')).pipelineProgram();
  const names = `<staging|production>-<${stackKinds.join('|')}>, or ${pipelineStack}`;
  throw new Error(`${selected} is not a Greenlight stack: select ${names}`);
}
