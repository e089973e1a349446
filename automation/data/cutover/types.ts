import type { Router } from '../../../infra/platform/router.ts';
import type { TableComparison } from '../../journal/events.ts';
import type { Link, Side } from '../link.ts';
import type { Direction, OnStep } from './procedure.ts';

export interface CutoverOptions {
  router: Router;
  /** The live colour, whose replication to `to` is streaming. */
  from: Side;
  to: Side;
  direction: Direction;
  settings: CutoverSettings;
  /** After each step. Those from `hold` to `flip` happen while writes wait: be quick. Throwing before the flip aborts. */
  onStep?: OnStep;
  /** Whether this program still has the environment: one that was away for too long must not flip what another works on. */
  ours?: (() => boolean) | undefined;
  /** Aborts before the flip; after it, it is ignored. */
  signal?: AbortSignal;
}

export interface CutoverSettings {
  /** Lease of the hold, ms: the flip happens well before it ends, or not at all. */
  holdMs: number;
  /** Of it, the longest time for the writes in flight to end, ms. */
  drainMs: number;
}

export interface CutoverResult {
  /** From the request to hold writes until they were released, ms. */
  holdMs: number;
  totalMs: number;
  /** False where a database crashed: with it the state at the instant of the cutover is gone, and `tables` is empty. */
  compared: boolean;
  /** Both databases at the instant of the cutover; left is `from`, right is `to`. */
  tables: TableComparison[];
  compareMs: number;
  /** Whether all tables were compared and are equal. */
  equal: boolean;
  /** The way back, where it stands: `to` -> `from`. */
  reverse?: Link;
  /** What went wrong after the flip. With any of them, or with unequal tables, go back. */
  problems: string[];
  /** What an operator should know, and need not act on. */
  warnings: string[];
}
