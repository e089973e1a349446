import type { Colour, EnvironmentSpec } from '../../model.ts';
import type { DatabaseAccess, Databases } from '../../platform/databases.ts';
import { applicationDatabase } from '../../application/roles.ts';
import type { Layout } from '../lib/layout.ts';
import { cloneCluster, type ServerControl } from './clone.ts';
import { createCluster, type ClusterSpec } from './cluster.ts';
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
  const { maxConnections } = spec.database;
  return {
    clone: (from, to, options) =>
      cloneCluster(
        colourAccess(layout, from),
        colourCluster(layout, to, { port: layout.ports().database[to], maxConnections }),
        control(to),
        options,
      ),
    // eslint-disable-next-line @typescript-eslint/require-await -- so that a missing file rejects instead of throwing
    of: async (colour) => colourAccess(layout, colour),
    scratch: (purpose) =>
      openScratch(layout, purpose, maxConnections, (cluster) => createCluster(cluster, { durable: false })),
  };
}

/** The cluster of a colour. Throws an OperationError if its passwords are missing. */
export const colourCluster = (
  layout: Layout,
  colour: Colour,
  { port, maxConnections }: Pick<ClusterSpec, 'port' | 'maxConnections'>,
): ClusterSpec => ({
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
