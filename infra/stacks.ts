import {
  colours,
  stackName,
  type ColourSpec,
  type EnvironmentName,
  type EnvironmentSpec,
  type Split,
  type StackKind,
} from './model.ts';

/** The configuration of a stack, by its kind. */
export type StackConfig =
  | { kind: 'foundation'; spec: EnvironmentSpec }
  | { kind: 'blue' | 'green'; colour: ColourSpec }
  | { kind: 'traffic'; split: Split };

/** The AWS stack with the pipeline that runs releases. An account has one, for both environments. */
export const pipelineStack = 'pipeline';

/** The project's name in `Pulumi.yaml`. */
export const projectName = 'greenlight';

/**
 * Fully qualified name for a `StackReference`. File and S3 backends have a single organisation, named `organization`.
 */
export const stackReference = (environment: EnvironmentName, kind: StackKind): string =>
  `organization/${projectName}/${stackName(environment, kind)}`;

/**
 * The part of the configuration that is not secret. Pulumi stores it as plain text and shows it in the stack's history.
 */
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

/** The part of the configuration that Pulumi stores encrypted: URLs of alert receivers often contain a token. */
export function toSecretConfig(config: StackConfig): Record<string, string> {
  if (config.kind !== 'foundation' || config.spec.alertReceivers.length === 0) return {};
  return { 'greenlight:alertReceivers': JSON.stringify(config.spec.alertReceivers) };
}

/**
 * Parses the configuration that is not secret. `value` returns the value of a key in the namespace `greenlight`. Throws
 * an Error if a value is missing or invalid.
 */
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
        throw new Error(`greenlight:colour is for ${colour.colour}, but this is the stack of ${kind}`);
      return { kind, colour };
    }
  }
}
