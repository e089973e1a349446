import type { ReleaseDefinition } from './schema.ts';

/** The paths that Greenlight asks by GET where the application has no script or no smoke tests: by default every route of every service. */
export const pathsOf = ({ load, application }: Pick<ReleaseDefinition, 'load' | 'application'>): string[] =>
  load.paths ?? [...new Set(application.services.flatMap(({ routes }) => routes))];
