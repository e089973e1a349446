import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { EnvironmentSpec } from '../../model.ts';
import { createLocalRouter } from '../haproxy/router.ts';
import { storeTraffic, trafficMap } from '../haproxy/traffic-map.ts';
import { Supervisor } from '../supervisor/supervisor.ts';
import { layoutOf, place, type Handler } from './handler.ts';

const inputs = place.extend({
  spec: z.custom<EnvironmentSpec>((value) => typeof value === 'object'),
  live: z.enum(['blue', 'green']),
  percent: z.number().int().min(0).max(100),
});
type Inputs = z.infer<typeof inputs>;

/** The split of traffic. `read` asks the balancer, not a file. */
export const routing: Handler<Inputs> = {
  inputs,
  async create(of) {
    await createLocalRouter(layoutOf(of), of.spec).apply({ live: of.live, percent: of.percent });
    return {};
  },
  async read(state) {
    if ((await new Supervisor(layoutOf(state)).state('balancer'))?.state !== 'RUNNING') return 'absent';
    const { split } = await createLocalRouter(layoutOf(state), state.spec).read();
    if (split === undefined) return 'absent';
    if (split.live === state.live && split.percent === state.percent) return 'as recorded';
    return {
      drift: `in the balancer ${split.live} is live, and ${split.percent} percent of reads go to the other colour`,
    };
  },
  update(of) {
    return routing.create(of);
  },
  /**
   * Records in the traffic map on disk that no colour is live, because the database of a live colour cannot be deleted.
   * The running balancer is not changed: until it is stopped, requests are routed as before.
   */
  async delete(state) {
    const directory = layoutOf(state).balancer();
    if (!existsSync(join(directory, trafficMap))) return;
    await storeTraffic(directory, { split: undefined, holdUntil: 0, refuseUntil: 0 });
  },
};
