/**
 * When migrations run: expand beside the old version, incompatible ones in a read-only window, which no old version outlives, and contract
 * past the point of no return.
 */
export type Phase = 'expand' | 'incompatible' | 'contract';

export const phases: readonly Phase[] = ['expand', 'incompatible', 'contract'];

/** Names of the files that do not run with the expand migrations. */
export interface LaterFiles {
  incompatible: readonly string[];
  contract: readonly string[];
}

/** The phase in which a file runs. */
export function phaseOf(name: string, { incompatible, contract }: LaterFiles): Phase {
  if (incompatible.includes(name)) return 'incompatible';
  return contract.includes(name) ? 'contract' : 'expand';
}

/** Timeouts of one attempt to get a lock and of a statement, ms, and how often a file is tried that cannot get its locks. */
export interface PhaseLimits {
  lockTimeoutMs: number;
  tries: number;
  statementMs: number;
}

/** Where others use the database: the timeout of pgroll for a lock. */
const besideOthers: PhaseLimits = { lockTimeoutMs: 500, tries: 20, statementMs: 15 * 60_000 };

/** In the read-only window nobody waits behind a lock, and a second try costs more than waiting. The window itself is the limit. */
export const limitsOf: Record<Phase, PhaseLimits> = {
  expand: besideOthers,
  incompatible: { lockTimeoutMs: 10_000, tries: 3, statementMs: 60 * 60_000 },
  contract: besideOthers,
};
