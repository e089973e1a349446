import type { Router } from '../../../infra/platform/router.ts';
import type { TableComparison } from '../../journal/events.ts';
import type { Side } from '../link.ts';
import type { Direction, OnStep } from './procedure.ts';

export interface CutoverOptions {
  router: Router;
  /** The live colour. The replication from it to `to` is streaming. */
  from: Side;
  to: Side;
  direction: Direction;
  settings: CutoverSettings;
  /**
   * In a rollback whose replication has stopped at a change that does not fit: what it has not applied is applied here, and the rows
   * that do not fit are left out (`replication/rest.ts`).
   */
  rest?: 'apply' | undefined;
  /** Called when all is prepared. Writes are held once it resolves. */
  beforeHold?: (() => Promise<void>) | undefined;
  /** Called after each step. From `hold` to `flip` users wait, so it must be quick. Throwing before the flip aborts. */
  onStep?: OnStep;
  /** Whether this program still owns the environment. After a long pause another program may have taken it over. */
  ours?: (() => boolean) | undefined;
  /** Aborts before the flip. Ignored afterwards. */
  signal?: AbortSignal;
}

export interface CutoverSettings {
  /** Lease of the hold, ms. The flip happens well before it expires, or not at all. */
  holdMs: number;
  /** The part of the lease in which writes in flight may end, ms. */
  drainMs: number;
}

export interface CutoverResult {
  /** From the request to hold writes until they were released, ms. */
  holdMs: number;
  totalMs: number;
  /** False if a database crashed and took the snapshots with it; `tables` is empty then. */
  compared: boolean;
  /** Both databases at the instant of the cutover: left is `from`, right is `to`. */
  tables: TableComparison[];
  compareMs: number;
  /** How many objects of the catalogs were compared, just before writes were held. Absent in a rollback. */
  objects?: number;
  /** Whether all tables were compared and are equal. */
  equal: boolean;
  /** What went wrong after the flip. With any problem, or with unequal tables, roll back. */
  problems: string[];
  /** What an operator should know but need not act on. */
  warnings: string[];
}
