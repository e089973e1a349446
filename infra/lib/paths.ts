import { join, resolve } from 'node:path';
import type { EnvironmentName } from '../model.ts';

/** Root of the project: everything that Greenlight writes is below it. */
export const projectRoot = resolve(import.meta.dirname, '..', '..');

/** `.greenlight/`; another place by GREENLIGHT_HOME (tests run beside a real environment that way). */
export const home = (): string => resolve(process.env['GREENLIGHT_HOME'] ?? join(projectRoot, '.greenlight'));

export const toolsDirectory = (): string => join(projectRoot, '.greenlight', 'tools');
export const artefactsDirectory = (): string => join(home(), 'artefacts');
export const stateDirectory = (): string => join(home(), 'state');
export const environmentDirectory = (environment: EnvironmentName): string => join(home(), 'environments', environment);
export const releasesDirectory = (environment: EnvironmentName): string =>
  join(environmentDirectory(environment), 'releases');
