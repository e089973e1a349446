import type { Colour, EnvironmentName } from '../model.ts';
import type { Place } from './place.ts';

/** Name of a colour's database instance: fixed, as its log groups and the dashboard are named after it. */
export const databaseIdentifier = ({ tags, environment }: Place, colour: Colour): string =>
  `${tags['application']}-${environment}-${colour}`;

/** Tag, and its value, by which the backup plan finds what it protects. */
export const backupTag = (place: Place): Record<string, string> => ({ backup: place.environment });

/** Begin of the names of what one-off tasks read: their roles may read nothing else. */
export const jobSecretPrefix = (environment: EnvironmentName): string => `greenlight/${environment}/job-`;
