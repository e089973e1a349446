import type { Colour } from '../model.ts';

export interface Login {
  user: string;
  password: string;
}

/**
 * One PostgreSQL database and its three roles: `admin` (superuser or rds_superuser, replication), `owner` (owns the
 * schema, runs migrations), `app` (what the services use: may write only as a member of `writerRole`).
 */
export interface DatabaseAccess {
  host: string;
  port: number;
  database: string;
  /** PEM file of the certificate authority. Connections use `sslmode=verify-full`. */
  caFile: string;
  /** Path of the same file on the server of the other database, which connects for replication. Absent: `caFile`. */
  peerCaFile?: string;
  admin: Login;
  owner: Login;
  app: Login;
  /**
   * Login of the other database's server, for replication. The password must stay valid as long as the subscription
   * exists. Absent: `admin`.
   */
  replication?: Login;
}

/** A temporary database cluster for one rehearsal or test. */
export interface ScratchDatabase {
  access: DatabaseAccess;
  dispose(): Promise<void>;
}

export interface Databases {
  of(colour: Colour): Promise<DatabaseAccess>;
  /**
   * A new cluster with an empty database and the three roles. `dispose` removes it; after a crash, a later
   * release does.
   */
  scratch(purpose: string): Promise<ScratchDatabase>;
}
