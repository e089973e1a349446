import { extname, join, resolve } from 'node:path';
import type { EnvironmentName } from '../model.ts';
import { isInstalled, packageRoot, setUpDirectory } from './place.mjs';

export { isInstalled, packageRoot };

/** The variable that hands the application's repository on to the programs that Greenlight starts. */
export const projectVariable = 'GREENLIGHT_PROJECT';

/**
 * Root of the application's repository: relative paths of the release definition, the build and `.greenlight/`. The command line
 * settles it once (`automation/config/project.ts`). Until then, and in tests, it is Greenlight's own repository.
 */
export const projectRoot = (): string => resolve(process.env[projectVariable] || (isInstalled ? '.' : packageRoot));

/** `.greenlight/`, or GREENLIGHT_HOME, which tests set so that they do not touch a real environment. */
export const home = (): string => resolve(process.env['GREENLIGHT_HOME'] ?? join(projectRoot(), '.greenlight'));

/** A program of Greenlight's own, for Node: in the package it is JavaScript. `name` has no extension. */
export const ownProgram = (directory: string, name: string): string =>
  join(directory, name + extname(import.meta.filename));

export const toolsDirectory = (): string => join(setUpDirectory(), 'tools');
export const artefactsDirectory = (): string => join(home(), 'artefacts');
export const stateDirectory = (): string => join(home(), 'state');
export const environmentDirectory = (environment: EnvironmentName): string => join(home(), 'environments', environment);
export const releasesDirectory = (environment: EnvironmentName): string =>
  join(environmentDirectory(environment), 'releases');
