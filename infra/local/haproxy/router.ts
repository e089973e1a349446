import { OperationError } from '../../lib/errors.ts';
import { colours, type Colour, type EnvironmentSpec, type Split } from '../../model.ts';
import { poll, until } from '../../lib/poll.ts';
import type { EntryPoint, Router, RouterState, ServerState, WriteInFlight } from '../../platform/router.ts';
import { inOrder } from '../../lib/in-order.ts';
import type { Layout } from '../lib/layout.ts';
import { backendName, serverName } from './backends.ts';
import { balancerSocket, balancerStopSeconds, masterSocket } from './config.ts';
import { endLong } from './end-long.ts';
import { writesTable } from './frontend.ts';
import { countOldWorkers, parseShowMap, parseShowStat, parseStreams, parseWrites, runtimeCommand } from './runtime.ts';
import {
  draftTraffic,
  dropDraft,
  isPercent,
  parseTrafficMap,
  splitValue,
  storeTraffic,
  trafficEntries,
  trafficMap,
  type Draft,
  type TrafficEntry,
  type TrafficState,
} from './traffic-map.ts';

/** `show stat <proxy> <type> <server>`, -1 meaning all. Type 2: a backend. Type 4: servers. */
const statServers = 'show stat -1 4 -1';

/** How long the master's socket may be unavailable during a reload, ms. */
const masterStartMs = 2_000;

/** Router for HAProxy, through its runtime API. Needs neither the engine nor its state. */
export function createLocalRouter(layout: Layout, spec: EnvironmentSpec): Router {
  const socket = balancerSocket(layout);
  const ask = (command: string, doing: string) => runtimeCommand(socket, command, doing);
  const serialized = inOrder();
  /** What the file will say once the split is applied that a hold was begun for. */
  let next: Draft | undefined;
  const takeDraft = (): Draft | undefined => {
    const draft = next;
    next = undefined;
    return draft;
  };

  const readMap = async (doing: string) => parseShowMap(await ask(`show map ${trafficMap}`, doing));

  /**
   * Changes the file first, then these entries of the balancer's map, in this order. The current state is read before anything is
   * written, so that nothing changes if the balancer is down. If the balancer rejects the change, the file is restored.
   */
  const change = (doing: string, keys: TrafficEntry[], edit: (state: TrafficState) => TrafficState) =>
    serialized(async () => {
      const there = await readMap(doing);
      const present = parsed(doing, there);
      const wanted = edit(present);
      await storeTraffic(layout.balancer(), wanted, keys.includes('split') ? takeDraft() : undefined);
      try {
        // The map of an earlier version lacks an entry.
        const commands = keys.map(
          (key) => `${there.has(key) ? 'set' : 'add'} map ${trafficMap} ${key} ${trafficEntries[key](wanted)}; `,
        );
        const found = parseShowMap(await ask(`${commands.join('')}show map ${trafficMap}`, doing));
        const other = keys.find((key) => found.get(key) !== trafficEntries[key](wanted));
        if (other !== undefined)
          throw notApplied(
            doing,
            `the balancer has "${found.get(other)}" instead of "${trafficEntries[other](wanted)}"`,
          );
      } catch (error) {
        await storeTraffic(layout.balancer(), present);
        throw error;
      }
    });

  const writesTo = async (colour: Colour, doing: string): Promise<number> => {
    const backends = spec.services.map(({ name }) => `show stat ${backendName(name, colour, 'write')} 2 -1`);
    const rows = parseShowStat(await ask(backends.join('; '), doing));
    return spec.services
      .map(({ name }) => {
        const backend = backendName(name, colour, 'write');
        const row = rows.find((candidate) => candidate['pxname'] === backend);
        if (row === undefined) throw notUnderstood(doing, `the balancer has no backend ${backend}`);
        return count(row, 'scur', doing);
      })
      .reduce((sum, sessions) => sum + sessions, 0);
  };

  return {
    entry: localEntry(layout),
    // The balancer has applied the change when it answers.
    settlesMs: 0,

    async read(): Promise<RouterState> {
      const doing = 'reading the split from the balancer';
      const answer = await ask(`show map ${trafficMap}; ${statServers}`, doing);
      const traffic = parsed(doing, parseShowMap(answer));
      const now = Date.now();
      return {
        split: traffic.split,
        holdMs: Math.max(0, traffic.holdUntil - now, traffic.refuseUntil - now),
        ...(traffic.refuseUntil > now ? { refuses: true } : {}),
        servers: serverStates(spec, parseShowStat(answer), doing),
      };
    },

    async apply(split: Split): Promise<void> {
      const doing = `setting the split to ${splitValue(split)}`;
      if (!colours.includes(split.live) || !isPercent(split.percent)) {
        throw new OperationError(
          doing,
          'the split is invalid',
          'pass blue or green, and a whole percentage from 0 to 100',
        );
      }
      await change(doing, ['split'], (state) => ({ ...state, split }));
    },

    async hold(leaseMs: number, split?: Split, signal?: AbortSignal): Promise<void> {
      const doing = `holding writes for at most ${leaseMs} ms`;
      checkLease(leaseMs, doing);
      await untilOneWorker(layout, doing, signal);
      const held = { holdUntil: Math.round(Date.now() + leaseMs), refuseUntil: 0 };
      await dropDraft(takeDraft());
      next = split === undefined ? undefined : await draftTraffic(layout.balancer(), { split, ...held });
      try {
        await change(doing, ['hold', 'refuse'], (state) => {
          signal?.throwIfAborted();
          return { ...state, ...held };
        });
      } catch (error) {
        await dropDraft(takeDraft());
        throw error;
      }
    },

    async refuse(leaseMs: number, signal?: AbortSignal): Promise<void> {
      const doing = `refusing writes for at most ${leaseMs} ms`;
      checkLease(leaseMs, doing);
      const { refuseUntil } = parsed(doing, await readMap(doing));
      // A renewal has no time to wait. Requests through an old worker reach the rules of the new one, which has the refusal from the file.
      if (refuseUntil <= Date.now()) await untilOneWorker(layout, doing, signal);
      await change(doing, ['refuse', 'hold'], (state) => {
        signal?.throwIfAborted();
        return { ...state, refuseUntil: Math.round(Date.now() + leaseMs), holdUntil: 0 };
      });
      await dropDraft(takeDraft());
    },

    async resumeWrites(): Promise<void> {
      const doing = 'releasing held writes';
      // Users wait for the balancer. What the file still says ends with the lease.
      await serialized(async () => {
        const commands = ['hold', 'refuse'].map((key) => `set map ${trafficMap} ${key} 0; `).join('');
        const found = parsed(doing, parseShowMap(await ask(`${commands}show map ${trafficMap}`, doing)));
        if (found.holdUntil > 0 || found.refuseUntil > 0)
          throw notApplied(doing, 'the balancer still holds or refuses writes');
        await storeTraffic(layout.balancer(), found);
      });
      await dropDraft(takeDraft());
    },

    writesInFlight: (colour: Colour) => writesTo(colour, `counting the writes in flight to ${colour}`),

    async nameWrites(colour: Colour): Promise<WriteInFlight[]> {
      const doing = `naming the writes in flight to ${colour}`;
      const answer = await ask(`show table ${writesTable} data.conn_cur gt 0`, doing);
      const at = Date.now();
      const found = parseWrites(answer, at, parseStreams(await ask('show sess all', doing)));
      return found.filter((write) => write.colour === colour).map(({ colour: _, ...write }) => write);
    },

    async cutWrites(colour: Colour): Promise<number> {
      const doing = `cutting the writes in flight to ${colour}`;
      const cut = await writesTo(colour, doing);
      for (const { name, instances } of spec.services) {
        for (let instance = 1; instance <= instances; instance += 1) {
          const server = `${backendName(name, colour, 'write')}/${serverName(name, colour, instance)}`;
          const answer = (await ask(`shutdown sessions server ${server}`, doing)).trim();
          if (answer !== '') throw notApplied(doing, `the balancer answered "${answer}"`);
        }
      }
      return cut;
    },

    endLong: (colour: Colour, withinMs: number, signal?: AbortSignal) =>
      endLong({
        spec,
        colour,
        withinMs,
        signal,
        ask: (command) => ask(command, `ending the connections to ${colour}`),
      }),
  };
}

function checkLease(leaseMs: number, doing: string): void {
  if (Number.isFinite(leaseMs) && leaseMs > 0) return;
  throw new OperationError(doing, 'the duration is invalid', 'pass a positive number of milliseconds');
}

/**
 * Waits until old workers have ended. After a reload the old worker serves its remaining clients with its own traffic
 * map. A hold would not affect it, and its writes would not be counted.
 */
async function untilOneWorker(layout: Layout, doing: string, signal?: AbortSignal): Promise<void> {
  const alone = async () => {
    const old = countOldWorkers(await askMaster(layout, doing));
    return old === 0 || 'a worker from before a reload is still running';
  };
  const timeoutMs = (balancerStopSeconds + 5) * 1000;
  await until(alone, { everyMs: 50, timeoutMs, signal, doing, todo: 'restart the balancer' });
}

/** Retries, because the master re-executes itself during a reload and its socket is then unavailable for a moment. */
async function askMaster(layout: Layout, doing: string): Promise<string> {
  const ask = () => runtimeCommand(masterSocket(layout), 'show proc', doing);
  const answer = await poll(() => ask().catch(() => undefined), { everyMs: 50, timeoutMs: masterStartMs });
  return answer ?? (await ask());
}

function parsed(doing: string, entries: ReadonlyMap<string, string>): TrafficState {
  try {
    return parseTrafficMap(entries);
  } catch (error) {
    throw notUnderstood(doing, (error as Error).message);
  }
}

function localEntry(layout: Layout): EntryPoint {
  return {
    baseUrl: `https://localhost:${layout.ports().https}`,
    caFile: layout.caFile(),
    routeHeaders: (colour) => ({ 'x-greenlight-colour': colour, 'x-greenlight-secret': layout.secret('route') }),
  };
}

/** A server is healthy if it passed its last health check. One that was not checked yet counts as unhealthy. */
function serverStates(spec: EnvironmentSpec, rows: Record<string, string>[], doing: string): ServerState[] {
  return spec.services.flatMap(({ name: service }) =>
    colours.flatMap((colour) => {
      const servers = rows.filter((row) => row['pxname'] === backendName(service, colour, 'read'));
      if (servers.length === 0) throw notUnderstood(doing, `the balancer has no server of ${service} on ${colour}`);
      return servers.map((row) => ({
        colour,
        service,
        instance: Number(row['svname']?.split('.').at(-1)),
        healthy: row['status']?.startsWith('UP') === true && row['check_status']?.replace('* ', '') === 'L7OK',
      }));
    }),
  );
}

function count(row: Record<string, string>, column: string, doing: string): number {
  const value = row[column];
  if (value === undefined || !/^\d+$/.test(value))
    throw notUnderstood(doing, `${column} of the balancer is "${value}"`);
  return Number(value);
}

const notApplied = (doing: string, found: string) =>
  new OperationError(doing, found, 'check the split (npm run status), then repeat the command');
const notUnderstood = (doing: string, found: string) =>
  new OperationError(doing, found, "the balancer's configuration does not match this environment: run npm run release");
