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

/** Who gets which requests, as the balancer has it: read back from it, never from what was written. */
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
    return { drift: `the balancer has live ${split.live}, ${split.percent} percent of reads to the other colour` };
  },
  update(of) {
    return routing.create(of);
  },
  /**
   * The split goes with the balancer. Until then requests go where they went: taking a stack down is no outage. Its file says at
   * once that nobody is live any more: before that no database of a live colour is taken down.
   */
  async delete(state) {
    const directory = layoutOf(state).balancer();
    if (!existsSync(join(directory, trafficMap))) return;
    await storeTraffic(directory, { split: undefined, holdUntil: 0 });
  },
};
