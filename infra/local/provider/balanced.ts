import { poll, until } from '../../lib/poll.ts';
import { balancerSocket } from '../haproxy/config.ts';
import { parseShowStat, runtimeCommand } from '../haproxy/runtime.ts';
import type { Layout } from '../lib/layout.ts';

/** Timeout, ms. The balancer checks a server that is down every 0.5 s (`downinter`). */
const timeoutMs = 10_000;

const statistics = 'show stat -1 4 -1';

/** The rows of an instance in both backends of its service. Empty if the balancer does not run or has no such server. */
async function rowsOf(layout: Layout, doing: string): Promise<Record<string, string>[]> {
  return parseShowStat(await runtimeCommand(balancerSocket(layout), statistics, doing).catch(() => ''));
}

/** A server that others track: what is set here is true of the others too. */
const isChecked = ({ pxname }: Record<string, string>): boolean => pxname?.endsWith('.read') === true;

/**
 * Gives an instance no further requests, and waits until it has answered those that it has. Does nothing where no other instance of its
 * service is healthy: requests would then fail at once. `longestMs`: how long its requests may take.
 */
export async function outOfBalance(layout: Layout, name: string, longestMs: number): Promise<void> {
  const doing = `taking ${name} out of the balance before it is restarted`;
  const all = await rowsOf(layout, doing);
  const mine = all.find((row) => row['svname'] === name && isChecked(row));
  const others = all.filter(({ pxname, svname }) => pxname === mine?.['pxname'] && svname !== name);
  const another = others.some(({ svname, status }) => svname !== 'BACKEND' && status?.startsWith('UP') === true);
  if (mine === undefined || !another) return;
  await runtimeCommand(balancerSocket(layout), `set server ${mine['pxname']}/${name} state maint`, doing);
  const idle = async () =>
    (await rowsOf(layout, doing)).every(({ svname, scur }) => svname !== name || scur === '0') || undefined;
  // What takes longer is left to the instance, which finishes its requests on SIGTERM.
  await poll(idle, { everyMs: 50, timeoutMs: longestMs });
}

/** Ends `outOfBalance`. Does nothing if the balancer does not run or has no such server. */
export async function intoBalance(layout: Layout, name: string): Promise<void> {
  const doing = `giving ${name} requests again`;
  const out = (await rowsOf(layout, doing)).find(
    (row) => row['svname'] === name && isChecked(row) && row['status']?.startsWith('MAINT') === true,
  );
  if (out === undefined) return;
  await runtimeCommand(balancerSocket(layout), `set server ${out['pxname']}/${name} state ready`, doing);
}

/**
 * Waits until the balancer considers an instance healthy, because only then does it get requests. The instance is the
 * server with the same name. Resolves at once if the balancer does not run or has no such server.
 */
export async function untilBalanced(layout: Layout, name: string): Promise<void> {
  const doing = `waiting until the balancer considers ${name} healthy`;
  const up = async () => {
    const servers = (await rowsOf(layout, doing)).filter(({ svname }) => svname === name);
    const down = servers.find(({ status }) => status?.startsWith('UP') !== true);
    return down === undefined || `it is ${down['status']}`;
  };
  await until(up, { everyMs: 50, timeoutMs, doing, todo: 'see balancer.log in the logs of the environment' });
}
