/**
 * What a statement of a migration can do to a release beside what it says. `migrations.accept` may name all of these, as
 * each can be right once in a while. What cannot run in a transaction is a rule of its own, and cannot be accepted.
 */
export const acceptableRules = [
  'breaks-old-version',
  'breaks-replication',
  'loosens',
  'changes-rows',
  'long-lock',
] as const;
export type AcceptableRule = (typeof acceptableRules)[number];
