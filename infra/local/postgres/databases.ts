import type { Colour, EnvironmentSpec } from '../../model.ts';
import type { DatabaseAccess, Databases } from '../../platform/databases.ts';
import { applicationDatabase } from '../../application/roles.ts';
import type { Layout } from '../lib/layout.ts';
import { createCluster } from './cluster.ts';
import { openScratch } from './scratch.ts';

/** The databases of a local environment: one cluster per colour, and scratch clusters. */
export function createLocalDatabases(layout: Layout, spec: EnvironmentSpec): Databases {
  return {
    // eslint-disable-next-line @typescript-eslint/require-await -- so that a missing file rejects instead of throwing
    of: async (colour) => colourAccess(layout, colour),
    scratch: (purpose) =>
      openScratch(layout, purpose, spec.database.maxConnections, (cluster) =>
        createCluster(cluster, { durable: false }),
      ),
  };
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
