import { until } from '../../lib/poll.ts';
import { balancerSocket } from '../haproxy/config.ts';
import { parseShowStat, runtimeCommand } from '../haproxy/runtime.ts';
import type { Layout } from '../lib/layout.ts';

/** The balancer looks at a server that was down every 0.5 s. */
const timeoutMs = 10_000;

/**
 * Waits until the balancer itself takes an instance for healthy: only then is it ready for requests. An instance is a
 * server of the balancer of the same name; where the balancer does not run or has no such server, there is nothing to wait for.
 */
export async function untilBalanced(layout: Layout, name: string): Promise<void> {
  const doing = `waiting until the balancer takes ${name} for healthy`;
  const up = async () => {
    const answer = await runtimeCommand(balancerSocket(layout), 'show stat -1 4 -1', doing).catch(() => '');
    const servers = parseShowStat(answer).filter(({ svname }) => svname === name);
    const down = servers.find(({ status }) => status?.startsWith('UP') !== true);
    return down === undefined || `it is ${down['status']}`;
  };
  await until(up, { everyMs: 50, timeoutMs, doing, todo: 'see balancer.log in the logs of the environment' });
}
