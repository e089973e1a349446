import type { Scenario } from './scenario.ts';
import { beforeTraffic } from './scenarios/before-traffic.ts';
import { atTheCutover, resumedCutover } from './scenarios/cutover.ts';
import { lostState } from './scenarios/state.ts';
import { onDemand } from './scenarios/million.ts';
import { readOnlyWindow } from './scenarios/read-only-window.ts';
import { killedRelease, withTraffic } from './scenarios/with-traffic.ts';

/** All that run without being asked for, in the order in which they run. Those that end with `go` are last: the version that they leave live is the next one's old version. A read-only window leaves one on which no other version of the sample runs. */
export const scenarios: Scenario[] = [
  ...beforeTraffic,
  ...withTraffic,
  ...atTheCutover,
  ...lostState,
  ...resumedCutover,
  ...killedRelease,
  ...readOnlyWindow,
];

/** The same, and those that take long: they run if they are named. */
export const everyScenario: Scenario[] = [...scenarios, ...onDemand];
