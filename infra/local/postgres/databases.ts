import { colours, type Colour, type EnvironmentSpec } from '../../model.ts';
import type { DatabaseAccess, Databases } from '../../platform/databases.ts';
import { applicationDatabase } from '../../application/roles.ts';
import type { Layout } from '../lib/layout.ts';
import { cloneCluster, type ServerControl } from './clone.ts';
import { createCluster, dataDirectory, type ClusterSpec } from './cluster.ts';
import { discardCluster } from './discard.ts';
import { versionOf } from './programs.ts';
import { openScratch } from './scratch.ts';

/**
 * The databases of a local environment: one cluster per colour, and scratch clusters. `control`: starts and stops the server of a
 * colour.
 */
export function createLocalDatabases(
  layout: Layout,
  spec: EnvironmentSpec,
  control: (colour: Colour) => ServerControl,
): Databases {
  const { maxConnections, version } = spec.database;
  return {
    clone: (from, to, options) =>
      cloneCluster(
        colourAccess(layout, from),
        colourCluster(layout, to, { port: layout.ports().database[to], maxConnections, version }),
        control(to),
        options,
      ),
    discard: (colour) =>
      discardCluster({ directory: layout.database(colour), name: `${layout.environment}-${colour}` }, control(colour)),
    // eslint-disable-next-line @typescript-eslint/require-await -- so that a missing file rejects instead of throwing
    of: async (colour) => colourAccess(layout, colour),
    scratch: (purpose) =>
      openScratch(layout, purpose, maxConnections, (cluster) =>
        createCluster({ ...cluster, version: version ?? versionInUse(layout) }, { durable: false }),
      ),
  };
}

/** The cluster of a colour. Throws an OperationError if its passwords are missing. */
export const colourCluster = (
  layout: Layout,
  colour: Colour,
  { port, maxConnections, version }: Pick<ClusterSpec, 'port' | 'maxConnections' | 'version'>,
): ClusterSpec => ({
  version: version ?? versionInUse(layout),
  directory: layout.database(colour),
  port,
  name: `${layout.environment}-${colour}`,
  certificates: layout.certificates(),
  maxConnections,
  passwords: {
    admin: layout.secret(`${colour}-admin`),
    owner: layout.secret(`${colour}-owner`),
    app: layout.secret(`${colour}-app`),
  },
});

/** The newest version of the environment's databases, so that a new one is no other by accident; undefined before there is one. */
function versionInUse(layout: Layout): number | undefined {
  const found = colours.flatMap((colour) => versionOf(dataDirectory({ directory: layout.database(colour) })) ?? []);
  return found.length === 0 ? undefined : Math.max(...found);
}

/** Access to a colour's database. Throws an OperationError if the foundation is not up. */
export function colourAccess(layout: Layout, colour: Colour): DatabaseAccess {
  const login = (user: 'admin' | 'owner' | 'app') => ({ user, password: layout.secret(`${colour}-${user}`) });
  return {
    host: '127.0.0.1',
    port: layout.ports().database[colour],
    database: applicationDatabase,
    caFile: layout.caFile(),
    admin: login('admin'),
    owner: login('owner'),
    app: login('app'),
  };
}
