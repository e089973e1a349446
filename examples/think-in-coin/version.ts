/** Version of this build; from source (unit tests run without a build) that of the newest edition. */
export const version = typeof SAMPLE_VERSION === 'string' ? SAMPLE_VERSION : '2.0.0';
