import type { Artefact, Colour, EnvironmentName } from '../../../infra/model.ts';
import type { Platform } from '../../../infra/platform/platform.ts';
import type { ReleaseDefinition } from '../../config/schema.ts';

/** A version in its colour. */
export interface Placement {
  colour: Colour;
  version: string;
}

/** The version that is live, and its build. */
export type LivePlacement = Placement & { artefact: Artefact };

/** A first go-live: nothing is live yet. */
interface FirstKind {
  kind: 'go-live';
  from?: undefined;
}

/** A new version takes the place of the one that is live. */
interface ReplacingKind {
  kind: 'release' | 'rehearsal';
  from: LivePlacement;
}

export type Kind = FirstKind | ReplacingKind;

/** All that decides what a release does: its stages are made from it, for the plan and for the run alike. */
interface Facts {
  definition: ReleaseDefinition;
  environment: EnvironmentName;
  to: Placement;
  platform: Pick<Platform, 'idleColour' | 'heldWrites' | 'settlesMs' | 'initialCopy'>;
}

export type FirstGoLive = Facts & FirstKind;
export type Replacement = Facts & ReplacingKind;
export type Release = FirstGoLive | Replacement;
