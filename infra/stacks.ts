import {
  colours,
  stackName,
  type ColourSpec,
  type EnvironmentName,
  type EnvironmentSpec,
  type Split,
  type StackKind,
} from './model.ts';

/** What a stack is configured with, by its kind. */
export type StackConfig =
  | { kind: 'foundation'; spec: EnvironmentSpec }
  | { kind: 'blue' | 'green'; colour: ColourSpec }
  | { kind: 'traffic'; split: Split };

/** The stack of an account, beside those of its environments: what releases by itself. */
export const pipelineStack = 'pipeline';

/** The project's name in `Pulumi.yaml`. */
export const projectName = 'greenlight';

/** Name by which another stack of the project refers to it; file and S3 backends have one organisation, of this name. */
export const stackReference = (environment: EnvironmentName, kind: StackKind): string =>
  `organization/${projectName}/${stackName(environment, kind)}`;

/** The configuration as Pulumi stores it and shows it in the stack's history. */
export function toPulumiConfig(platform: string, config: StackConfig): Record<string, string> {
  const values = { 'greenlight:platform': platform };
  switch (config.kind) {
    case 'foundation':
      return { ...values, 'greenlight:environment': JSON.stringify({ ...config.spec, alertReceivers: [] }) };
    case 'traffic':
      return { ...values, 'greenlight:live': config.split.live, 'greenlight:percent': String(config.split.percent) };
    case 'blue':
    case 'green':
      return { ...values, 'greenlight:colour': JSON.stringify(config.colour) };
  }
}

/** The part of the configuration that Pulumi stores encrypted: addresses of alert receivers often hold a token. */
export function toSecretConfig(config: StackConfig): Record<string, string> {
  if (config.kind !== 'foundation' || config.spec.alertReceivers.length === 0) return {};
  return { 'greenlight:alertReceivers': JSON.stringify(config.spec.alertReceivers) };
}

/** Reads it back, without the secret part. `value` gives a key of the namespace `greenlight`; throws an Error where one is missing or wrong. */
export function fromPulumiConfig(kind: StackKind, value: (key: string) => string): StackConfig {
  switch (kind) {
    case 'foundation':
      return { kind, spec: JSON.parse(value('environment')) as EnvironmentSpec };
    case 'traffic': {
      const live = colours.find((colour) => colour === value('live'));
      const percent = Number(value('percent'));
      if (live === undefined) throw new Error(`greenlight:live is "${value('live')}": it must be blue or green`);
      if (!Number.isInteger(percent) || percent < 0 || percent > 100)
        throw new Error(`greenlight:percent is "${value('percent')}": it must be a whole number from 0 to 100`);
      return { kind, split: { live, percent } };
    }
    case 'blue':
    case 'green': {
      const colour = JSON.parse(value('colour')) as ColourSpec;
      if (colour.colour !== kind)
        throw new Error(`greenlight:colour is for ${colour.colour}, and this is the stack of ${kind}`);
      return { kind, colour };
    }
  }
}
