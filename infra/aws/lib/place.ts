import * as pulumi from '@pulumi/pulumi';
import { Provider } from '@pulumi/aws/provider.js';
import type { Colour, EnvironmentName } from '../../model.ts';
import { boundaryName } from './names.ts';
import type { AwsSettings } from './settings.ts';

/** Value of the tag `release` of a colour on which no version runs. */
export const noRelease = 'none';

/** What the resources of a stack have in common: names, tags, settings and the permissions boundary. */
export interface Place {
  environment: EnvironmentName;
  settings: AwsSettings;
  tags: Record<string, string>;
  /** ARN of the permissions boundary of the roles. */
  boundary: string;
  /**
   * Production is protected from deletion and redundant across zones. Nothing else differs between the environments.
   */
  production: boolean;
}

/** `colour` is given for a colour's stack, with the version that runs on it. */
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

/** The provider of one stack. It refuses the credentials of any account but the configured one. */
export const accountProvider = ({ settings }: Place): Provider =>
  new Provider('aws', { region: settings.region, allowedAccountIds: [settings.accountId] });

/** Base of the components: children inherit the provider and are named after the environment. */
export abstract class Component extends pulumi.ComponentResource {
  readonly place: Place;

  protected constructor(type: string, name: string, place: Place, options: pulumi.ComponentResourceOptions) {
    super(`greenlight:aws:${type}`, name, {}, options);
    this.place = place;
  }

  /**
   * `production-<name>`. Pulumi adds a random suffix, so that a replacement can be created before the old resource is
   * deleted.
   */
  protected named = (name: string): string => `${this.place.environment}-${name}`;

  protected get child(): pulumi.CustomResourceOptions {
    return { parent: this };
  }
}

/** Name of a colour's database instance. Fixed, because its log groups and the dashboard refer to it. */
export const databaseIdentifier = (
  { tags, environment }: Pick<Place, 'tags' | 'environment'>,
  colour: Colour,
): string => `${tags['application']}-${environment}-${colour}`;

/** Tag by which the backup plan selects what it backs up. */
export const backupTag = (place: Place): Record<string, string> => ({ backup: place.environment });
