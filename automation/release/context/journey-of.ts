import { resolve } from 'node:path';
import { projectRoot } from '../../../infra/lib/paths.ts';
import { pathsOf } from '../../config/paths-of.ts';
import type { ReleaseDefinition } from '../../config/schema.ts';
import { journeyOfPaths, type Journey } from '../../gates/load/k6-command.ts';

/** What a load runs: the script that the definition names, or the paths that are asked where it names none. */
export const journeyOf = (definition: ReleaseDefinition, script: string | undefined): Journey =>
  script === undefined ? journeyOfPaths(pathsOf(definition)) : { script: resolve(projectRoot(), script) };
