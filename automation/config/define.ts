import type { ReleaseDefinitionInput } from './schema.ts';

/** Types `greenlight.config.ts` for the editor. The definition is checked when it is loaded. */
export const defineRelease = (definition: ReleaseDefinitionInput): ReleaseDefinitionInput => definition;
