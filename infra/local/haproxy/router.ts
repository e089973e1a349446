import { OperationError } from '../../lib/errors.ts';
import { colours, type Colour, type EnvironmentSpec, type Split } from '../../model.ts';
import { poll, until } from '../../lib/poll.ts';
import type { EntryPoint, Router, RouterState, ServerState } from '../../platform/router.ts';
import { inOrder } from '../../lib/in-order.ts';
import type { Layout } from '../lib/layout.ts';
import { backendName, balancerSocket, balancerStopSeconds, masterSocket, serverName } from './config.ts';
import { countOldWorkers, parseShowMap, parseShowStat, runtimeCommand } from './runtime.ts';
import { isPercent, parseTrafficMap, splitValue, storeTraffic, trafficMap, type TrafficState } from './traffic-map.ts';

/** Rows of `show stat` by type: backends, servers. */
const statBackends = 'show stat -1 2 -1';
const statServers = 'show stat -1 4 -1';

/** Longest time without a listening master while it reloads, ms. */
const masterStartMs = 2_000;

/** The balancer of a local environment, through its runtime API. Needs neither the engine nor its state. */
export function createLocalRouter(layout: Layout, spec: EnvironmentSpec): Router {
  const socket = balancerSocket(layout);
  const ask = (command: string, doing: string) => runtimeCommand(socket, command, doing);
  const oneByOne = inOrder();

  const readTraffic = async (doing: string): Promise<TrafficState> => {
    const answer = await ask(`show map ${trafficMap}`, doing);
    try {
      return parseTrafficMap(parseShowMap(answer));
    } catch (error) {
      throw notUnderstood(doing, (error as Error).message);
    }
  };

  /**
   * On disk first, then in the balancer, then read back. The present state is read before anything is written: where the
   * balancer is gone nothing changes, and where it does not take the change, the file says again what it had.
   */
  const change = (doing: string, key: 'split' | 'hold', edit: (state: TrafficState) => TrafficState) =>
    oneByOne(async () => {
      const present = await readTraffic(doing);
      const wanted = edit(present);
      const value = key === 'split' ? splitValue(wanted.split) : String(wanted.holdUntil);
      await storeTraffic(layout.balancer(), wanted);
      try {
        const answer = (await ask(`set map ${trafficMap} ${key} ${value}`, doing)).trim();
        if (answer !== '') throw ignored(doing, `the balancer answered "${answer}"`);
        const found = parseShowMap(await ask(`show map ${trafficMap}`, doing)).get(key);
        if (found !== value) throw ignored(doing, `the balancer has "${found}" instead of "${value}"`);
      } catch (error) {
        await storeTraffic(layout.balancer(), present);
        throw error;
      }
    });

  const writesTo = async (colour: Colour, doing: string): Promise<number> => {
    const rows = parseShowStat(await ask(statBackends, doing));
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
    // Both are in its memory when it answers.
    settlesMs: 0,

    async read(): Promise<RouterState> {
      const doing = 'reading the split from the balancer';
      const [traffic, stat] = await Promise.all([readTraffic(doing), ask(statServers, doing)]);
      return {
        split: traffic.split,
        holdMs: Math.max(0, traffic.holdUntil - Date.now()),
        servers: serverStates(spec, parseShowStat(stat), doing),
      };
    },

    async apply(split: Split): Promise<void> {
      const doing = `setting the split to ${splitValue(split)}`;
      if (!colours.includes(split.live) || !isPercent(split.percent)) {
        throw new OperationError(doing, 'it is not a split', 'give blue or green, and a whole percent from 0 to 100');
      }
      await change(doing, 'split', (state) => ({ ...state, split }));
    },

    async hold(leaseMs: number): Promise<void> {
      const doing = `holding writes for at most ${leaseMs} ms`;
      if (!Number.isFinite(leaseMs) || leaseMs <= 0) {
        throw new OperationError(doing, 'it is not a duration', 'give a positive number of milliseconds');
      }
      await untilOneWorker(layout, doing);
      await change(doing, 'hold', (state) => ({ ...state, holdUntil: Math.round(Date.now() + leaseMs) }));
    },

    async resumeWrites(): Promise<void> {
      await change('releasing held writes', 'hold', (state) => ({ ...state, holdUntil: 0 }));
    },

    writesInFlight: (colour: Colour) => writesTo(colour, `counting the writes under way to ${colour}`),

    async cutWrites(colour: Colour): Promise<number> {
      const doing = `cutting the writes under way to ${colour}`;
      const cut = await writesTo(colour, doing);
      for (const { name, instances } of spec.services) {
        for (let instance = 1; instance <= instances; instance += 1) {
          const server = `${backendName(name, colour, 'write')}/${serverName(name, colour, instance)}`;
          const answer = (await ask(`shutdown sessions server ${server}`, doing)).trim();
          if (answer !== '') throw ignored(doing, `the balancer answered "${answer}"`);
        }
      }
      return cut;
    },
  };
}

/**
 * After a reload the old worker finishes what its clients still send, with the traffic map that it had: a hold would not
 * reach it, and its writes are not counted. So a hold waits for its end.
 */
async function untilOneWorker(layout: Layout, doing: string): Promise<void> {
  const alone = async () => {
    const old = countOldWorkers(await askMaster(layout, doing));
    return old === 0 || 'a worker from before a reload does not end';
  };
  await until(alone, { everyMs: 50, timeoutMs: (balancerStopSeconds + 5) * 1000, doing, todo: 'restart the balancer' });
}

/** During a reload the master executes itself anew, and for a moment nobody listens on its socket. */
async function askMaster(layout: Layout, doing: string): Promise<string> {
  const ask = () => runtimeCommand(masterSocket(layout), 'show proc', doing);
  const answer = await poll(() => ask().catch(() => undefined), { everyMs: 50, timeoutMs: masterStartMs });
  return answer ?? (await ask());
}

function localEntry(layout: Layout): EntryPoint {
  return {
    baseUrl: `https://localhost:${layout.ports().https}`,
    caFile: layout.caFile(),
    routeHeaders: (colour) => ({ 'x-greenlight-colour': colour, 'x-greenlight-secret': layout.secret('route') }),
  };
}

/** Healthy is what has passed its last check; a server that was not checked yet is not. */
function serverStates(spec: EnvironmentSpec, rows: Record<string, string>[], doing: string): ServerState[] {
  return spec.services.flatMap(({ name: service }) =>
    colours.flatMap((colour) => {
      const servers = rows.filter((row) => row['pxname'] === backendName(service, colour, 'read'));
      if (servers.length === 0) throw notUnderstood(doing, `the balancer knows no server of ${service} on ${colour}`);
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

const ignored = (doing: string, found: string) =>
  new OperationError(doing, found, 'read the split again (npm run status), then repeat the command');
const notUnderstood = (doing: string, found: string) =>
  new OperationError(doing, found, "the balancer's configuration is not this environment's: run npm run release");
