import type { PlannedMove } from './procedure.ts';

type PlannedWindow = Pick<PlannedMove, 'from' | 'to'>;

/**
 * The read-only window from top to bottom, as the table of a cutover (`procedure.ts`). Up to `grant` a failure undoes everything.
 * `flip` decides.
 */
const procedure = {
  prepare: ({ from, to }: PlannedWindow) => `check that ${from} is live and ${to} follows it, let ${to} catch up`,
  refuse: () => 'answer writes 503 at the balancer, with the time to come back; reads go on',
  drain: ({ from }: PlannedWindow) => `wait until ${from} has answered the writes in flight`,
  fence: ({ from }: PlannedWindow) =>
    `lock all tables of ${from} against writing, take away the application's right to write there`,
  replay: ({ from, to }: PlannedWindow) => `wait until ${to} has applied everything that ${from} committed`,
  'carry-over': ({ from, to }: PlannedWindow) =>
    `continue the sequences of ${from} on ${to}, open a snapshot of both databases`,
  compare: () => 'compare the contents of both databases',
  end: ({ to }: PlannedWindow) => `end the replication to ${to}: from here it goes live or is thrown away`,
  migrate: ({ to }: PlannedWindow) =>
    `run the incompatible migrations on ${to}, compare what they did with the rehearsal`,
  start: ({ to }: PlannedWindow) => `start the new version on ${to}`,
  check: ({ to }: PlannedWindow) => `check the invariants on ${to}, run the smoke tests there`,
  grant: ({ to }: PlannedWindow) => `give the application the right to write on ${to}`,
  flip: ({ to }: PlannedWindow) => `check that writes are still refused, route all reads and writes to ${to}`,
  release: ({ to }: PlannedWindow) => `end the refusal: writes go to ${to}`,
  fenced: ({ from }: PlannedWindow) => `commit the fence: ${from} stays as it is, without a replication back to it`,
} satisfies Record<string, (move: PlannedWindow) => string>;

export type WindowStep = keyof typeof procedure;

/** The names of the steps, in order. */
export const windowSteps = Object.keys(procedure) as WindowStep[];

/** What a read-only window will do: a sentence for each step, in order. */
export const describeWindow = (move: PlannedWindow): string[] => windowSteps.map((step) => procedure[step](move));
