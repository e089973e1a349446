import type { AcceptableRule } from '../../config/migration-rules.ts';

export type MigrationRule = AcceptableRule | 'not-transactional';

export interface Finding {
  rule: MigrationRule;
  /** Whether it stops the release; otherwise it is a risk that is named before the approval. */
  stops: boolean;
  why: string;
  /** The way to write it that has no such finding. */
  instead: string;
  /** Whether it still matters where no old version is left: the next release replicates from this schema. */
  lasting?: boolean;
}

const finding =
  (rule: MigrationRule, stops: boolean) =>
  (why: string, instead: string): Finding => ({ rule, stops, why, instead });

export const breaksOldVersion = finding('breaks-old-version', true);
export const mayBreakOldVersion = finding('breaks-old-version', false);
export const breaksReplication = finding('breaks-replication', true);
export const mayBreakReplication = finding('breaks-replication', false);
export const notTransactional = finding('not-transactional', true);
export const loosens = finding('loosens', false);
export const changesRows = finding('changes-rows', false);

export const lasting = (found: Finding): Finding => ({ ...found, lasting: true });

/** What is loosened in such a way that the old side can take the same rows (`replication/loosening.ts`). `what` is a clause. */
export const loosensBoth = (what: string): Finding =>
  loosens(
    `${what}: from the flip on the old side takes such rows, too, so that they can go back, and the old version may meet them`,
    nextRelease,
  );

/** `what` is a clause: "the table is written anew". */
export const longLock = (what: string, instead: string): Finding =>
  finding('long-lock', false)(`${what}, and whatever uses the table waits meanwhile`, instead);

export const inContract = 'move it to a contract file (migrations.contract)';
export const sideBySide =
  'add the new one beside it, keep both in step by a trigger that is enabled ALWAYS, and drop the old one in a contract file';
export const nextRelease =
  'let this version write only what the old schema takes, and write the new kind of row from the next release on';
