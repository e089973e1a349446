import { z } from 'zod';
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

/** After a crash the server replays its log before it answers. */
const readySeconds = 60;

const inputs = place.extend({
  colour: z.enum(['blue', 'green']),
  port: z.number().int(),
  maxConnections: z.number().int().min(20),
  /** Hashes of the certificate and of the roles' passwords. */
  restartOn: z.array(z.string().regex(/^\S+$/)),
});
type Inputs = z.infer<typeof inputs>;

/** A colour's PostgreSQL cluster with the application's database and its roles, and the server that serves it. */
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
    // Its data is there: what lacks is only the server, and making the cluster anew would be wrong.
    return found === 'absent' ? { drift: 'the server is not supervised any more' } : found;
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

/** The last barrier before the data, by what the balancer keeps on disk. Where all is taken down, `routing` has cleared that before. */
async function refuseLive(layout: Layout, colour: Colour): Promise<void> {
  if ((await storedTraffic(layout.balancer()))?.split?.live !== colour) return;
  throw new OperationError(
    `taking the database of ${colour} in ${layout.environment} down`,
    `${colour} is live by the balancer's traffic map`,
    'nothing of it was changed; see who is live: npm run status',
  );
}

/** Name of the program that is the server of a colour. */
export const nameOf = ({ colour }: Pick<Inputs, 'colour'>): string => `database.${colour}`;

const clusterOf = ({ environment, colour }: Inputs): string => `${environment}-${colour}`;

/** SIGINT: PostgreSQL's fast shutdown. Only the postmaster gets it; it stops its children itself. */
const serverOf = (layout: Layout, of: Inputs): Program => ({
  ...serverCommand({ directory: layout.database(of.colour) }),
  name: nameOf(of),
  ready: { kind: 'tcp', port: of.port },
  readySeconds,
  stopSignal: 'INT',
  stopSeconds: 60,
  stopGroup: false,
  logMegabytes: 5,
  // Port and connections are in its settings, which it reads at its start.
  restartOn: [...of.restartOn, String(of.port), String(of.maxConnections)],
});
