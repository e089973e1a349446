import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { databaseUrl, type DatabaseRole } from '../../../../../infra/application/database-url.ts';
import { createCertificates } from '../../../../../infra/local/lib/certificates.ts';
import { Layout } from '../../../../../infra/local/lib/layout.ts';
import { freePorts } from '../../../../../infra/lib/free-ports.ts';
import {
  createCluster,
  destroyCluster,
  startCluster,
  type ClusterSpec,
} from '../../../../../infra/local/postgres/cluster.ts';
import { createLocalDatabases } from '../../../../../infra/local/postgres/databases.ts';
import type { Colour, EnvironmentSpec } from '../../../../../infra/model.ts';
import type { DatabaseAccess, Databases } from '../../../../../infra/platform/databases.ts';
import { controlOf } from '../../../../lib/server-control.ts';

/** A local environment of which only the databases of some colours exist, in a folder with an awkward name. */
export interface DatabaseEnvironment {
  layout: Layout;
  spec: EnvironmentSpec;
  cluster: Record<Colour, ClusterSpec>;
  databases: Databases;
  close: () => Promise<void>;
}

/** As awkward as paths and secrets get: spaces, quotes, a dollar sign, letters outside ASCII. */
const awkward = `it's a "test" of $HOME, ünï`;

export async function openDatabaseEnvironment(...colours: Colour[]): Promise<DatabaseEnvironment> {
  const folder = await mkdtemp(join(tmpdir(), 'greenlight-'));
  const layout = new Layout('staging', join(folder, awkward));
  await createCertificates(layout.certificates());
  const ports = { blue: await unusedPort(), green: await unusedPort() };
  await writeFile(layout.portsFile(), JSON.stringify({ database: ports }));
  await mkdir(join(layout.directory, 'secrets'));
  const cluster = {} as Record<Colour, ClusterSpec>;
  for (const colour of ['blue', 'green'] as const) {
    const passwords = { admin: `${colour} a'd"m\\in 1€`, owner: `${colour}-ö:/@?#%`, app: `${colour} $app` };
    for (const role of ['admin', 'owner', 'app'] as const) {
      await writeFile(layout.secretFile(`${colour}-${role}`), passwords[role]);
    }
    cluster[colour] = {
      directory: layout.database(colour),
      port: ports[colour],
      name: `staging-${colour}`,
      certificates: layout.certificates(),
      maxConnections: 30,
      passwords,
    };
  }
  const close = async (): Promise<void> => {
    for (const colour of colours) await destroyCluster(cluster[colour]);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    for (const colour of colours) {
      await createCluster(cluster[colour], { durable: false });
      await startCluster(cluster[colour]);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    layout,
    spec,
    cluster,
    databases: createLocalDatabases(layout, spec, (colour) => controlOf(cluster[colour])),
    close,
  };
}

const spec: EnvironmentSpec = {
  application: 'sample',
  environment: 'staging',
  services: [],
  integrations: [],
  writes: { reads: ['GET', 'HEAD', 'OPTIONS', 'TRACE'], paths: [] },
  database: { maxConnections: 30 },
  slo: { errorRate: 0.001, p95Ms: 500 },
  alertReceivers: [],
};

/** One connection for the time of `use`. */
export async function connected<T>(
  access: DatabaseAccess,
  role: DatabaseRole,
  use: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString: databaseUrl(access, role) });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

/** Rows of one query. */
export const query = async (
  access: DatabaseAccess,
  role: DatabaseRole,
  sql: string,
): Promise<Record<string, unknown>[]> =>
  connected(access, role, async (client) => (await client.query<Record<string, unknown>>(sql)).rows);

/** What `action` rejects with; fails where it does not reject. */
export async function rejection(action: Promise<unknown>): Promise<Error> {
  try {
    await action;
  } catch (error) {
    return error as Error;
  }
  throw new Error('it was expected to reject, and did not');
}

export const unusedPort = async (): Promise<number> => (await freePorts(1))[0] as number;
