import { setTimeout as sleep } from 'node:timers/promises';
import type { Colour, EnvironmentSpec } from '../../model.ts';
import type { LongEnded } from '../../platform/router.ts';
import { backendName, requestKinds, type RequestKind } from './backends.ts';
import { parseSessions, parseShowMap, type Session } from './runtime.ts';
import { trafficMap } from './traffic-map.ts';

/** Pause between two looks, ms. Streams are ended in as many groups as there are looks. */
const lookMs = 250;
/** Sessions that one command ends: it has to fit into a buffer of the balancer. */
const perCommand = 100;

/** A request was passed on before the flip and is upgraded after it: so the last look is this much after the flip at least, ms. */
const handshakeMs = 1_000;

interface Ending {
  spec: EnvironmentSpec;
  colour: Colour;
  withinMs: number;
  signal: AbortSignal | undefined;
  /** Sends a command to the balancer's runtime API. */
  ask: (command: string) => Promise<string>;
}

/** Ends what stays connected to a colour. `Router.endLong` says what, and when. */
export async function endLong({ spec, colour, withinMs, signal, ask }: Ending): Promise<LongEnded> {
  const kindOf = new Map(
    spec.services.flatMap(({ name }) =>
      requestKinds.map((kind): [string, RequestKind] => [backendName(name, colour, kind), kind]),
    ),
  );
  const ended = { tunnel: new Set<string>(), stream: new Set<string>() };
  const end = async (sessions: readonly Session[], as: keyof typeof ended): Promise<void> => {
    for (let at = 0; at < sessions.length; at += perCommand) {
      const some = sessions.slice(at, at + perCommand);
      await ask(some.map(({ id }) => `shutdown session ${id}`).join('; '));
      for (const { id } of some) ended[as].add(id);
    }
  };
  const began = performance.now();
  let lastMs = 0;
  for (;;) {
    const sinceMs = performance.now() - began;
    const leftMs = Math.max(0, withinMs - sinceMs);
    const answer = await ask(`show map ${trafficMap}; show sess`);
    // It is live again: a release that went back has connections that are right where they are.
    if (parseShowMap(answer).get('split')?.startsWith(`${colour}:`) === true) break;
    const found = parseSessions(answer);
    const of = (...kinds: RequestKind[]) =>
      found.filter(({ backend }) => kinds.some((kind) => kindOf.get(backend) === kind));
    const tunnels = of('tunnel');
    const streams = of('stream');
    // The age has whole seconds. What is shorter ends by itself.
    const before = of('read', 'write').filter(({ seconds }) => seconds * 1000 >= sinceMs - 1000);
    const late = leftMs > 0 ? [] : before.filter(({ seconds }) => seconds >= 1);
    await end(tunnels, 'tunnel');
    await end(streams.slice(0, Math.ceil(streams.length / (1 + leftMs / lookMs))), 'stream');
    await end(late, 'stream');
    if (tunnels.length + streams.length + late.length > 0) lastMs = performance.now() - began;
    const over = tunnels.length + streams.length + before.length === 0;
    if (signal?.aborted === true || (sinceMs >= handshakeMs && (over || leftMs === 0))) break;
    await sleep(lookMs, undefined, { signal }).catch(() => undefined);
  }
  return { webSockets: ended.tunnel.size, streams: ended.stream.size, ms: Math.round(lastMs) };
}
