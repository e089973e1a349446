import type pg from 'pg';
import type { Side } from '../../automation/data/link.ts';
import type { Random } from './random.ts';

/** What a request has written once it is acknowledged. Keys of rows are unique in a run. */
export interface Writes {
  rows?: readonly string[];
  /** Rows that it inserts and deletes again, or deletes only. */
  gone?: readonly string[];
  /** Increments of numbers that many clients share. */
  counters?: Readonly<Record<string, number>>;
}

export interface Request {
  writes: Writes;
  run(session: Session): Promise<void>;
}

/** The live database, as the application has it: by its own role. */
export interface Session {
  side: Side;
  /** One transaction. One that PostgreSQL asks to repeat (40001, 40P01) is repeated. */
  transaction: (work: (client: pg.PoolClient) => Promise<unknown>, begin?: string) => Promise<void>;
}

/** A request's place in the run. */
export interface Turn {
  /** Unique in the run. */
  n: number;
  random: Random;
  /** Whether the new version is live, which knows what the expand migrations added. */
  isNew: boolean;
}

/** Where a world is created: a database as an administrator gives it to an application. */
export interface Site {
  side: Side;
  asOwner: (sql: string) => Promise<void>;
  /** For what only an administrator may do, such as an event trigger. */
  asAdmin: (sql: string) => Promise<void>;
}

/** A schema as others have it, with its load. */
export interface World {
  name: string;
  /** For a person. */
  is: string;
  create(site: Site): Promise<void>;
  /** Plain SQL files by name. Those in `contract` run at the end. */
  migrations: Readonly<Record<string, string>>;
  contract: readonly string[];
  request(turn: Turn): Request;
  /** Writers, and milliseconds between two requests of one. */
  clients: number;
  everyMs: number;
  /** `rows`: the key of every row that requests insert. `counters`: name and number. */
  ledger: { rows?: string; counters: string };
  /** Queries that return a row for each violation. */
  invariants: readonly { name: string; sql: string }[];
}
