import { z } from 'zod';
import { greenlight } from '../../lib/command.ts';
import { OperationError } from '../../lib/errors.ts';
import type { Colour } from '../../model.ts';
import { storedTraffic } from '../haproxy/traffic-map.ts';
import type { Layout } from '../lib/layout.ts';
import {
  clusterAccess,
  createCluster,
  destroyCluster,
  isCluster,
  serverCommand,
  waitUntilReady,
} from '../postgres/cluster.ts';
import { colourCluster } from '../postgres/databases.ts';
import type { Program } from '../supervisor/config.ts';
import { layoutOf, place, type Handler } from './handler.ts';
import { readProgram, removeProgram, startProgram } from './supervised.ts';

/** Includes the replay of the write-ahead log after a crash. */
const readySeconds = 60;

const inputs = place.extend({
  colour: z.enum(['blue', 'green']),
  port: z.number().int(),
  maxConnections: z.number().int().min(20),
  /** Of a cluster that is made. One that is there keeps its own: only a release replaces it, and only where it is inactive. */
  version: z.number().int().optional(),
  /** Hashes of the certificate and of the roles' passwords. */
  restartOn: z.array(z.string().regex(/^\S+$/)),
});
type Inputs = z.infer<typeof inputs>;

/** A colour's PostgreSQL cluster with the application's database and roles, and its supervised server. */
export const cluster: Handler<Inputs> = {
  inputs,
  async create(of) {
    const layout = layoutOf(of);
    const spec = colourCluster(layout, of.colour, of);
    await createCluster(spec);
    await startProgram(layout, serverOf(layout, of));
    await waitUntilReady(clusterAccess(spec), readySeconds * 1000);
    return {};
  },
  async read(state) {
    const layout = layoutOf(state);
    if (!(await isCluster(layout.database(state.colour)))) return 'absent';
    const found = await readProgram(layout, nameOf(state), () => serverOf(layout, state));
    // Not `absent`, because the data exists and only the server is missing: the cluster must not be created again.
    return found === 'absent' ? { drift: 'the supervisor no longer knows the server' } : found;
  },
  update(of) {
    return cluster.create(of);
  },
  async delete(state) {
    const layout = layoutOf(state);
    await refuseLive(layout, state.colour);
    await removeProgram(layout, nameOf(state));
    await destroyCluster({ directory: layout.database(state.colour), name: clusterOf(state) });
  },
};

/**
 * Last protection before data is deleted, based on the traffic map on disk. When a whole environment is taken down,
 * `routing` has cleared the map before.
 */
async function refuseLive(layout: Layout, colour: Colour): Promise<void> {
  if ((await storedTraffic(layout.balancer()))?.split?.live !== colour) return;
  throw new OperationError(
    `deleting the database of ${colour} in ${layout.environment}`,
    `${colour} is live, according to the balancer's traffic map`,
    `nothing was changed; check which colour is live: ${greenlight('status')}`,
  );
}

/** Name of the program that is the server of a colour. */
export const nameOf = ({ colour }: Pick<Inputs, 'colour'>): string => `database.${colour}`;

const clusterOf = ({ environment, colour }: Inputs): string => `${environment}-${colour}`;

/** SIGINT is PostgreSQL's fast shutdown. Only the postmaster gets it and stops its children itself. */
const serverOf = (layout: Layout, of: Inputs): Program => ({
  ...serverCommand({ directory: layout.database(of.colour) }),
  name: nameOf(of),
  ready: { kind: 'tcp', port: of.port },
  readySeconds,
  stopSignal: 'INT',
  stopSeconds: 60,
  stopGroup: false,
  logMegabytes: 5,
  // Port and maximum connections are in settings that the server reads at its start.
  restartOn: [...of.restartOn, String(of.port), String(of.maxConnections)],
});
