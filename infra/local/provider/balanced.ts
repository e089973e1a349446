import { until } from '../../lib/poll.ts';
import { balancerSocket } from '../haproxy/config.ts';
import { parseShowStat, runtimeCommand } from '../haproxy/runtime.ts';
import type { Layout } from '../lib/layout.ts';

/** Timeout, ms. The balancer checks a server that is down every 0.5 s (`downinter`). */
const timeoutMs = 10_000;

/**
 * Waits until the balancer considers an instance healthy, because only then does it get requests. The instance is the
 * server with the same name. Resolves at once if the balancer does not run or has no such server.
 */
export async function untilBalanced(layout: Layout, name: string): Promise<void> {
  const doing = `waiting until the balancer considers ${name} healthy`;
  const up = async () => {
    const answer = await runtimeCommand(balancerSocket(layout), 'show stat -1 4 -1', doing).catch(() => '');
    const servers = parseShowStat(answer).filter(({ svname }) => svname === name);
    const down = servers.find(({ status }) => status?.startsWith('UP') !== true);
    return down === undefined || `it is ${down['status']}`;
  };
  await until(up, { everyMs: 50, timeoutMs, doing, todo: 'see balancer.log in the logs of the environment' });
}
