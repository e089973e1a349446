import { setTimeout as sleep } from 'node:timers/promises';
import { OperationError } from '../../../../infra/lib/errors.ts';
import type { Colour } from '../../../../infra/model.ts';
import type { Router } from '../../../../infra/platform/router.ts';
import type { ReleaseContext } from '../../context/context.ts';

/** Longest wait for the balancer to find every instance healthy, ms; each has answered its health check before. */
const readyMs = 30_000;

/** Ready before routed: resolves to the number of servers once the balancer finds every one of `colour` healthy. */
export async function untilReady({ signal, waiting }: ReleaseContext, router: Router, colour: Colour): Promise<number> {
  const deadline = Date.now() + readyMs;
  for (;;) {
    const servers = (await router.read()).servers.filter((server) => server.colour === colour);
    const down = servers.filter(({ healthy }) => !healthy).map(({ service, instance }) => `${service}.${instance}`);
    if (servers.length > 0 && down.length === 0) return servers.length;
    if (Date.now() > deadline) {
      throw new OperationError(
        `waiting until ${colour} is ready`,
        servers.length === 0 ? 'the balancer knows no server of it' : `the balancer finds down: ${down.join(', ')}`,
        'look at their logs in the environment’s directory',
      );
    }
    waiting(`${colour}: ${servers.length - down.length} of ${servers.length} servers are healthy`);
    await sleep(100, undefined, { signal });
  }
}
