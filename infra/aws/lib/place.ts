import * as pulumi from '@pulumi/pulumi';
import { Provider } from '@pulumi/aws/provider.js';
import type { Colour, EnvironmentName } from '../../model.ts';
import { boundaryName } from './names.ts';
import type { AwsSettings } from './settings.ts';

/** Value of the tag `release` of a colour on which no version runs. */
export const noRelease = 'none';

/** Where resources belong: what names them, tags them, and bounds what they may do. */
export interface Place {
  environment: EnvironmentName;
  settings: AwsSettings;
  tags: Record<string, string>;
  /** ARN of the policy that no role here can go beyond, whatever else it is given. */
  boundary: string;
  /** Production is protected from deletion, and spread over zones; everything else is the same in both environments. */
  production: boolean;
}

/** `colour`: of a colour's stack, with the version that runs on it. */
export function placeOf(
  environment: EnvironmentName,
  application: string,
  settings: AwsSettings,
  colour?: { colour: Colour; version: string | undefined },
): Place {
  const ofColour: Record<string, string> =
    colour === undefined ? {} : { colour: colour.colour, release: colour.version ?? noRelease };
  const tags = { owner: settings.owner, application, environment, ...ofColour };
  const boundary = `arn:aws:iam::${settings.accountId}:policy/${boundaryName}`;
  return { environment, settings, tags, boundary, production: environment === 'production' };
}

/** The provider of one stack. It asks whose credentials it has, and refuses to work in any account but the configured one. */
export const accountProvider = ({ settings }: Place): Provider =>
  new Provider('aws', { region: settings.region, allowedAccountIds: [settings.accountId] });

/** Base of the components: children inherit the provider, and are named after the environment. */
export abstract class Component extends pulumi.ComponentResource {
  readonly place: Place;

  protected constructor(type: string, name: string, place: Place, options: pulumi.ComponentResourceOptions) {
    super(`greenlight:aws:${type}`, name, {}, options);
    this.place = place;
  }

  /** `production-<name>`. Pulumi adds a random suffix for AWS, so a replacement can be made before the old one goes. */
  protected named = (name: string): string => `${this.place.environment}-${name}`;

  protected get child(): pulumi.CustomResourceOptions {
    return { parent: this };
  }
}

/** Name of a colour's database instance: fixed, as its log groups and the dashboard are named after it. */
export const databaseIdentifier = (
  { tags, environment }: Pick<Place, 'tags' | 'environment'>,
  colour: Colour,
): string => `${tags['application']}-${environment}-${colour}`;

/** Tag, and its value, by which the backup plan finds what it protects. */
export const backupTag = (place: Place): Record<string, string> => ({ backup: place.environment });
