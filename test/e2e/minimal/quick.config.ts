import minimal from './minimal.config.ts';

/** The same in less time: what is tested is that it is released at all. */
export default {
  ...minimal,
  load: { durationSeconds: 6 },
  security: { maxSeconds: 60 },
  // Other tests share the machine: one stall slows every request in it, and falls on the few of the canary by chance.
  canary: { steps: [20, 50], stepSeconds: 8, minRequests: 20, maxP95Ratio: 4, noticeableMs: 1_000 },
  slo: { errorRate: 0.001, p95Ms: 2_000 },
  bake: { seconds: 10 },
};
