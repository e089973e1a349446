import * as pulumi from '@pulumi/pulumi';
import type { PipelineSettings } from './settings.ts';

/** Where the pipeline's resources belong. */
export interface PipelinePlace {
  settings: PipelineSettings;
  tags: Record<string, string>;
}

export const pipelinePlace = (settings: PipelineSettings): PipelinePlace => ({
  settings,
  tags: { owner: settings.owner, application: settings.application, environment: 'account' },
});

/** Base of the pipeline's components: they belong to the account, and are named after the application. */
export abstract class PipelineComponent extends pulumi.ComponentResource {
  readonly place: PipelinePlace;

  protected constructor(type: string, name: string, place: PipelinePlace, options: pulumi.ComponentResourceOptions) {
    super(`greenlight:aws:${type}`, `${place.settings.application}-${name}`, {}, options);
    this.place = place;
  }

  protected named = (name: string): string => `${this.place.settings.application}-${name}`;

  protected get child(): pulumi.CustomResourceOptions {
    return { parent: this };
  }
}
