/**
 * Faults for drills, compiled in by the build from GREENLIGHT_SAMPLE_FAULT: `<fault>`, or `<fault>@<environment>` for
 * one that shows only there. They exist from 2.0.0 on, so the version that a drill starts from is sound.
 */
export const faults = [
  'slow-endpoint',
  'sql-injection',
  'acceptance-fails',
  'error-on-reads',
  'hang',
  'read-that-writes',
  'incompatible-migration',
  'migration-fails',
] as const;
export type Fault = (typeof faults)[number];

const [planted, environment] = (typeof SAMPLE_FAULT === 'string' ? SAMPLE_FAULT : '').split('@');

/** Whether this build has the fault, and this process is where it shows. */
export const hasFault = (fault: Fault): boolean =>
  fault === planted && (environment === undefined || environment === process.env['GREENLIGHT_ENVIRONMENT']);
