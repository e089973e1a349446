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
  /** Major versions of PostgreSQL: of the live database, and of the one that replaces it. Absent: not known when it began. */
  postgres?: PostgresVersions | undefined;
}

export interface PostgresVersions {
  from: number;
  to: number;
}

export type Kind = FirstKind | ReplacingKind;

/** All that decides what a release does: its stages are made from it, for the plan and for the run alike. */
interface Facts {
  definition: ReleaseDefinition;
  environment: EnvironmentName;
  to: Placement;
  platform: Pick<Platform, 'idleColour' | 'heldWrites' | 'endsLong' | 'settlesMs' | 'initialCopy'>;
}

export type FirstGoLive = Facts & FirstKind;
export type Replacement = Facts & ReplacingKind;
/** The major upgrade that a release makes, if it does. */
export const upgradeIn = ({ postgres }: Pick<Replacement, 'postgres'>): PostgresVersions | undefined =>
  postgres === undefined || postgres.from === postgres.to ? undefined : postgres;

/** Whether the inactive colour becomes a physical copy. The files of another major version are of no use to it. */
export const copiesFiles = (release: Pick<Replacement, 'postgres' | 'platform'>): boolean =>
  release.platform.initialCopy === 'physical' && upgradeIn(release) === undefined;

export type Release = FirstGoLive | Replacement;

/**
 * The read-only window of a release, where it has one; times in ms. The definition is about one version: an older one that is put back has
 * none, and neither has a first go-live, where nobody writes yet.
 */
export function readOnlyWindowOf({
  definition: { application },
  to,
  kind,
}: Pick<Release, 'definition' | 'to' | 'kind'>): { longestMs: number } | undefined {
  const { incompatible } = application.migrations;
  if (kind === 'go-live' || to.version !== application.version || incompatible === undefined) return undefined;
  return { longestMs: incompatible.readOnlyWindow.longestSeconds * 1000 };
}
