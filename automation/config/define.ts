import type { ReleaseDefinitionInput } from './schema.ts';

/** Gives `greenlight.config.ts` types and completion in the editor. It is checked when it is loaded. */
export const defineRelease = (definition: ReleaseDefinitionInput): ReleaseDefinitionInput => definition;
