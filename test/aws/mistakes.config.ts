import emulated from './emulated.config.ts';

/** What a test has changed in the definition of the emulated account: JSON, `aws` setting by setting, and null for none of it. */
const { aws, ...changed } = JSON.parse(process.env['GREENLIGHT_TEST_DEFINITION'] ?? '{}') as { aws?: object | null };

export default {
  ...emulated,
  // One release is made here, for what needs something live: no gate is the subject.
  load: { ...emulated.load, requestsPerSecond: 20, durationSeconds: 3 },
  bake: { ...emulated.bake, seconds: 3 },
  ...changed,
  aws: aws === null ? undefined : { ...emulated.aws, ...aws },
};
