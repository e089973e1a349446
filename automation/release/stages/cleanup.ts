import { greenlight } from '../../../infra/lib/command.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import type { Backup } from '../../../infra/platform/backups.ts';
import type { ReleaseDefinition } from '../../config/schema.ts';
import { stopSync } from '../../data/replication/sync.ts';
import { check, passes, stops, type Gate } from '../../journal/verdict.ts';
import { takeBackup } from '../steps/data/backup.ts';
import type { ReleaseContext } from '../context/context.ts';
import type { JournalEntry } from '../../journal/events.ts';
import { allOf, firstOf, lastOf } from '../../journal/entries.ts';
import { movedInWindow, twoWays } from '../../journal/window.ts';
import {
  readOnlyWindowOf,
  type FirstGoLive,
  type Placement,
  type Release,
  type Replacement,
} from '../context/release.ts';
import { takeDown } from '../steps/data/empty.ts';
import { endMark } from '../steps/data/kept.ts';
import { linkOf, sideOf } from '../steps/traffic/link.ts';
import { hasContract, migrate, pendingOf } from '../steps/data/migrate.ts';
import { proveBackup, type BackupProof } from '../steps/data/proven-backup.ts';
import { StageStopped, type Stage, type Step } from '../context/stage.ts';

const proof: BackupProof = {
  id: 'contract-backup',
  title: 'Backup before the contract migrations, restored and compared',
};
/** What begins where the way back ends, in the journal. */
const endOfTheWayBack = 'cleanup/end-reverse';

/**
 * The point of no return. A backup is proven while a rollback is still possible. Then the replication to the old colour ends, the
 * contract migrations run, and the old colour is taken down or kept warm.
 */
export const cleanup = (release: Replacement): Stage => {
  const { definition, from, to } = release;
  const contract = hasContract(definition);
  const windowed = readOnlyWindowOf(release) !== undefined;
  return {
    ...shape,
    workMs: contract ? 20_000 : shape.workMs,
    steps: [
      {
        says: 'refuse while a gate is open, or the databases were not compared',
        do: (context) => refuseUnverified(context, { compared: true }),
      },
      ...(contract ? [proveBefore(release)] : []),
      {
        says: windowed
          ? `see that nothing replicates back to ${from.colour}: from here nothing can go back, not even with a loss`
          : `end the replication back to ${from.colour}: no way back from here`,
        when: ({ journal }) => !ended(journal.entries()),
        do: (context) => endWayBack(context, release),
      },
      {
        says: `bring back what an earlier try had left and only the schema of ${to.version} holds`,
        do: (context) => endMark(context, to.colour),
      },
      ...(contract ? [contractMigrations] : []),
      definition.bake.oldColour === 'release' ? letGo(release) : keepWarm(from),
      ...finalBackup(release),
    ],
  };
};

/** A first go-live has no way back to end, and no old colour to let go. */
export const firstCleanup = (release: FirstGoLive): Stage => ({
  ...shape,
  steps: [
    { says: 'refuse while a gate is open', do: (context) => refuseUnverified(context, { compared: false }) },
    ...(hasContract(release.definition) ? [contractMigrations] : []),
    ...finalBackup(release),
  ],
});

type Shape = Pick<Stage, 'id' | 'title' | 'workMs' | 'observationMs'>;

// There is no undo: what failed here is finished by `resume`. Until the way back has ended `rollback` is possible, and the cutover stage does it.
const shape: Shape = { id: 'cleanup', title: 'Clean-up', workMs: 10_000, observationMs: 0 };

const proveBefore = (release: Replacement): Step => ({
  says: `back up ${release.to.colour}, and prove the backup, while ${readOnlyWindowOf(release) === undefined ? 'the way back is still open' : 'the old database is still there'}`,
  gates: { [proof.id]: proof.title },
  do: proveNet,
});

const contractMigrations: Step = {
  says: 'contract migrations',
  async do(context) {
    const { to } = context;
    const { databases, jobs } = await context.connect();
    const access = await databases.of(to.colour);
    await migrate(context, 'contract', { access, artefact: context.artefact(), where: to.colour, jobs });
  },
};

const letGo = ({ environment, from, platform }: Replacement): Step => ({
  says: `take ${from.colour} down${platform.idleColour === 'database stays' ? ', all but its database' : ''}`,
  do: (context) => takeDown(context, environment, from.colour),
});

const keepWarm = ({ colour }: Placement): Step => ({ says: `keep ${colour} warm`, do: () => Promise.resolve() });

const finalBackup = ({ definition, to }: Release): Step[] => [
  {
    says: 'back up, check every byte',
    async do(context) {
      const { backup } = await takeBackup(context, to.colour, to.version);
      const { backups } = await context.connect();
      await context.act('verify-backup', `check backup ${backup.id} against its checksums`, () =>
        backups.verify(backup),
      );
    },
  },
  { says: `keep the newest ${leastOf(definition)} backups`, do: prune },
];

/** A rollback may have been asked for while the backup was proven; it is still possible here, and comes first. */
async function endWayBack(context: ReleaseContext, { from, to }: Replacement): Promise<void> {
  if (!pastNoReturn(context.journal.entries()) && context.rollbackRequested())
    throw new StageStopped('rolled-back', `rollback was asked for by ${greenlight('rollback')}`);
  const link = await linkOf(context, to.colour, from.colour);
  await context.act('end-reverse', `end the replication back to ${from.colour}`, () => stopSync(link));
}

/** Whether an interrupted run has ended the replication already: the old colour may be gone since. */
const ended = (entries: readonly JournalEntry[]): boolean =>
  allOf(entries, 'action.done').some(({ id }) => id === endOfTheWayBack);

/** Whether a release can only be finished: its way back has ended, or was never there. */
export function pastNoReturn(entries: readonly JournalEntry[]): boolean {
  const started = firstOf(entries, 'release.started');
  const first = started !== undefined && started.from === undefined;
  return entries.some((entry) =>
    first
      ? entry.type === 'stage.started' && entry.stage === 'cleanup'
      : entry.type === 'action.intent' && entry.id === endOfTheWayBack,
  );
}

/**
 * A contract migration deletes what a rollback cannot restore, so a backup is proven first. Not again if an interrupted run had
 * proven one: some of the migrations may have run since, and a new backup would lack what they deleted.
 */
async function proveNet(context: ReleaseContext): Promise<void> {
  const entries = context.journal.entries();
  if (pastNoReturn(entries) && wasProven(entries)) return;
  const { access } = await sideOf(context, context.to.colour);
  const pending = await pendingOf(context, 'contract', access, context.artefact());
  if (pending.length === 0) {
    await context.gates([nothingToProve]);
    return;
  }
  const scratch = await proveBackup(context, context.to, proof);
  await scratch?.dispose();
  if (wasProven(context.journal.entries())) return;
  const back = movedInWindow(entries)
    ? `. The old database is still there: ${twoWays.back}`
    : `. The way back is still open: ${greenlight('rollback')}`;
  const open = pastNoReturn(entries) ? '' : back;
  throw new OperationError(
    'cleaning up after the release',
    `the backup before the contract migrations could not be proven, so they do not run (${pending.join(', ')})`,
    `see the gate ${proof.id} in the report. Correct the cause, then: ${greenlight('resume')}${open}`,
  );
}

const nothingToProve: Gate = {
  ...proof,
  measure: () =>
    Promise.resolve({
      measurements: [check('contract migrations', 'a proven backup before any', 'none is pending', true)],
    }),
};

function wasProven(entries: readonly JournalEntry[]): boolean {
  const last = allOf(entries, 'gate.judged').findLast(({ gate }) => gate.id === proof.id);
  return last !== undefined && passes(last.gate.verdict);
}

/**
 * Deletes old backups. Only the backup from before the contract migrations has what those deleted: it is kept, with all newer ones,
 * however often the clean-up is repeated.
 */
async function prune(context: ReleaseContext): Promise<void> {
  const { backups } = await context.connect();
  const proven = lastOf(context.journal.entries(), 'backup.restored');
  const isProven = ({ id }: Backup): boolean => proven?.id === id;
  const since = hasContract(context.definition) ? (await backups.list()).findIndex(isProven) + 1 : 0;
  const keep = Math.max(leastOf(context.definition), since);
  const gone = await context.act('prune-backups', `delete all backups but the newest ${keep}`, () =>
    backups.prune(keep),
  );
  if (gone.length > 0) context.note(`deleted backups: ${gone.map(({ id }) => id).join(', ')}`);
}

/** With contract migrations at least two: the backup from before them, and the one from after them. */
const leastOf = (definition: ReleaseDefinition): number =>
  Math.max(hasContract(definition) ? 2 : 1, definition.data.backupRetention);

/** Nothing is cleaned up while a gate is open; with `compared`, not before the two databases were found equal at the cutover. */
function refuseUnverified({ journal }: ReleaseContext, { compared }: { compared: boolean }): Promise<void> {
  // The clean-up's own gate is judged anew by each run.
  const judged = allOf(journal.entries(), 'gate.judged').filter(({ stage }) => stage !== 'cleanup');
  const latest = new Map(judged.map(({ gate }) => [gate.id, gate]));
  const open = [...latest.values()]
    .filter((gate) => stops(gate.verdict))
    .map((gate) => `${gate.id} is ${gate.verdict}`);
  if (compared && !latest.has('data-comparison')) open.push('the databases were not compared');
  if (open.length > 0) return Promise.reject(new StageStopped('no-go', `the old colour is kept: ${open.join('; ')}`));
  return Promise.resolve();
}
