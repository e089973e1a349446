import sample from '../../greenlight.config.ts';

/** The sample's release, with less to look at: what is tested is that every part is there and works together. */
export default {
  ...sample,
  // Every row is copied, backed up, restored, masked and compared several times.
  environments: { ...sample.environments, production: { seed: ['node', 'seed.mjs', '2000'] } },
  load: { ...sample.load, requestsPerSecond: 40, durationSeconds: 6, growth: 1 },
  synthetic: { ...sample.synthetic, requestsPerSecond: 60 },
  security: { ...sample.security, maxSeconds: 40 },
  // Other tests share the machine: one stall slows every request in it, and falls on the few of the canary by chance.
  canary: { steps: [20, 50], stepSeconds: 8, minRequests: 20, maxP95Ratio: 4, noticeableMs: 1_000 },
  slo: { errorRate: 0.001, p95Ms: 2_000 },
  bake: { seconds: 10, oldColour: 'release' as const },
};
