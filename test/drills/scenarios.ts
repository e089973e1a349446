import type { Scenario } from './scenario.ts';
import { beforeTraffic } from './scenarios/before-traffic.ts';
import { atTheCutover, resumedCutover } from './scenarios/cutover.ts';
import { lostState } from './scenarios/state.ts';
import { killedRelease, withTraffic } from './scenarios/with-traffic.ts';

/** In the order in which they run. Those that end with `go` are last: the version that they leave live is the next one. */
export const scenarios: Scenario[] = [
  ...beforeTraffic,
  ...withTraffic,
  ...atTheCutover,
  ...lostState,
  ...resumedCutover,
  ...killedRelease,
];
