import type { Side } from '../../../../../automation/data/link.ts';
import type { ClusterSpec } from '../../../../../infra/local/postgres/cluster.ts';
import { controlOf } from '../../../../lib/server-control.ts';
import { seedBy } from '../rig.ts';

/** Of a seed, in order; at `placed` the copy has its place, and its server is not started yet. */
export type Moment = 'copying' | 'cut-off' | 'copied' | 'stopped' | 'placed';

/** A program that begins a physical seed and is killed at one of its moments. */
export interface Order {
  from: Side;
  to: Side;
  cluster: ClusterSpec;
  dieAt: Moment;
}

process.once('message', (order: Order) => void run(order));

async function run({ from, to, cluster, dieAt }: Order): Promise<void> {
  const at = (moment: Moment): void => {
    if (moment === dieAt) process.kill(process.pid, 'SIGKILL');
  };
  const control = controlOf(cluster);
  let looks = 0;
  let starts = 0;
  await seedBy(
    from,
    to,
    cluster,
    {
      onProgress: () => at('copying'),
      mayReplace: () => {
        if (++looks === 2) at('copied');
        return Promise.resolve();
      },
    },
    {
      start: async () => {
        if (++starts === 2) at('placed');
        await control.start();
      },
      stop: async () => {
        await control.stop();
        at('stopped');
      },
    },
    () => at('cut-off'),
  );
  process.exit(0);
}
