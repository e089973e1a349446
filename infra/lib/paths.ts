import { join, resolve } from 'node:path';
import type { EnvironmentName } from '../model.ts';

/** Root directory of the project. */
export const projectRoot = resolve(import.meta.dirname, '..', '..');

/** `.greenlight/`, or GREENLIGHT_HOME, which tests set so that they do not touch a real environment. */
export const home = (): string => resolve(process.env['GREENLIGHT_HOME'] ?? join(projectRoot, '.greenlight'));

export const toolsDirectory = (): string => join(projectRoot, '.greenlight', 'tools');
export const artefactsDirectory = (): string => join(home(), 'artefacts');
export const stateDirectory = (): string => join(home(), 'state');
export const environmentDirectory = (environment: EnvironmentName): string => join(home(), 'environments', environment);
export const releasesDirectory = (environment: EnvironmentName): string =>
  join(environmentDirectory(environment), 'releases');
