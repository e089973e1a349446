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

/** What a physical copy of one colour's cluster asks of its caller. */
export interface CloneOptions {
  /** Rejects if the database of the target must not be replaced. Asked before anything is done, and again just before it is. */
  mayReplace(): Promise<void>;
  /** Called when the files are copied. Resolves to the LSN of the source as of which the copy has to be. */
  cutOff(): Promise<string>;
  /** Bytes of files copied so far; `totalBytes` is the source's estimate and may grow. */
  onProgress?(progress: { bytes: number; totalBytes: number }): void;
  signal?: AbortSignal;
}

export interface Databases {
  of(colour: Colour): Promise<DatabaseAccess>;
  /**
   * Makes the cluster of `to` a physical copy of that of `from`: all transactions that committed before the LSN of `cutOff`, and no
   * other. The copy has the passwords, the certificate, the port and the identity of `to`. It has no tie to another database, and the
   * application may not write to it. Where it rejects, `to` has what it had before, and its server runs. After a crash a
   * repeat is enough. Absent: the platform cannot do that.
   */
  clone?(from: Colour, to: Colour, options: CloneOptions): Promise<void>;
  /**
   * Ends the server of a colour and removes what is left of its database, so that the next `up` of its stack makes an empty one.
   * Only for a database that does not answer and cannot be brought up, of a colour that serves nobody: the caller makes sure. Rejects
   * where another database lies in its place. After a crash a repeat is enough. Absent: the platform cannot do that.
   */
  discard?(colour: Colour): Promise<void>;
  /**
   * A new cluster with an empty database and the three roles. `dispose` removes it; after a crash, a later
   * release does.
   */
  scratch(purpose: string): Promise<ScratchDatabase>;
}
