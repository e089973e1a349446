import sample from '../../greenlight.config.ts';
import type { ReleaseDefinitionInput } from '../../automation/config/schema.ts';

/** The sample's release with the shortest times that still give enough to judge by, so that all drills end within the hour. */
export const shortRelease: ReleaseDefinitionInput = {
  ...sample,
  environments: {
    staging: { ...sample.environments?.staging, seed: ['node', 'seed.mjs', '300'] },
    production: { ...sample.environments?.production, seed: ['node', 'seed.mjs', '3000'] },
  },
  load: { ...sample.load, requestsPerSecond: 40, durationSeconds: 4 },
  synthetic: { ...sample.synthetic, requestsPerSecond: 120 },
  canary: { ...sample.canary, steps: [50], stepSeconds: 8 },
  bake: { ...sample.bake, seconds: 10 },
};
