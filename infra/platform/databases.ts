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
  /** A fresh cluster with an empty database and the three roles. Gone after `dispose`, or at the next start after a crash. */
  scratch(purpose: string): Promise<ScratchDatabase>;
}
