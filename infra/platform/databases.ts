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
  /** PEM file; connections are `sslmode=verify-full`. */
  caFile: string;
  /** The same authority as another database's server finds it, for replication; absent: `caFile`. */
  peerCaFile?: string;
  admin: Login;
  owner: Login;
  app: Login;
  /**
   * What another database's server logs in with, for replication: its password must last as long as a subscription does.
   * Absent: `admin`.
   */
  replication?: Login;
}

/** A database cluster of its own that nobody else uses, for rehearsals and tests. */
export interface ScratchDatabase {
  access: DatabaseAccess;
  dispose(): Promise<void>;
}

export interface Databases {
  of(colour: Colour): Promise<DatabaseAccess>;
  /** A fresh cluster with an empty database and the three roles. Gone after `dispose`, or at the next start after a crash. */
  scratch(purpose: string): Promise<ScratchDatabase>;
}
