import { OperationError } from '../../../infra/lib/errors.ts';
import type { Backup } from '../../../infra/platform/backups.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import type { ReleaseDefinition } from '../../config/schema.ts';
import { linkBetween } from '../../data/link.ts';
import { stopSync } from '../../data/replication/sync.ts';
import { check, passes, type Gate } from '../../journal/verdict.ts';
import { takeBackup } from '../steps/data/backup.ts';
import type { ReleaseContext } from '../context/context.ts';
import type { JournalEntry } from '../../journal/events.ts';
import { release } from '../steps/data/establish.ts';
import { hasContract, migrate, pendingOf } from '../steps/data/migrate.ts';
import { proveBackup, type BackupProof } from '../steps/data/proven-backup.ts';
import { StageStopped, type Stage } from '../context/stage.ts';

const proof: BackupProof = {
  id: 'contract-backup',
  title: 'Backup before the contract migrations, restored and compared',
};
/** What begins where the way back ends, in the journal. */
const endOfTheWayBack = 'cleanup/end-reverse';

/**
 * The declared point of no return. A backup is proven while the way back is still open; then the way back ends, the contract
 * migrations run, and the old colour is let go.
 */
export const cleanup: Stage = {
  id: 'cleanup',
  title: 'Clean-up',

  plan: ({ kind, definition, from, to }) => {
    const proven = kind !== 'go-live' && hasContract(definition);
    return {
      steps: [
        ...(proven ? [`back up ${to.colour}, and prove it, while the way back is still open`] : []),
        ...(kind === 'go-live' ? [] : [`end the replication back to ${from?.colour} (no way back from here)`]),
        ...(hasContract(definition) ? ['contract migrations'] : []),
        ...(kind === 'go-live'
          ? []
          : [
              definition.bake.oldColour === 'release'
                ? `take ${from?.colour} down${definition.platform === 'aws' ? ', all but its database' : ''}`
                : `keep ${from?.colour} warm`,
            ]),
        `back up, check every byte; keep the newest ${leastOf(definition)} backups`,
      ],
      ...(proven ? { gates: { [proof.id]: proof.title } } : {}),
      workMs: proven ? 20_000 : 10_000,
      observationMs: 0,
    };
  },

  async apply(context) {
    const { from, to, definition, environment, journal } = context;
    refuseUnverified(context);
    const { databases, jobs, backups } = await context.connect();
    const access = await databases.of(to.colour);
    const artefact = context.artefact();
    if (from !== undefined) await proveNet(context, access);
    // Proving a backup takes its time, and until now the way back was open.
    if (from !== undefined && !pastNoReturn(journal.entries()) && context.rollbackRequested())
      throw new StageStopped('rolled-back', 'rollback was asked for by npm run rollback');
    // Done by a run that was cut off later: the old colour may be gone since.
    const ended = journal.entries().some((entry) => entry.type === 'action.done' && entry.id === endOfTheWayBack);
    if (from !== undefined && !ended) {
      await context.act('end-reverse', `end the replication back to ${from.colour}`, async () =>
        stopSync(
          linkBetween({ colour: to.colour, access }, { colour: from.colour, access: await databases.of(from.colour) }),
        ),
      );
    }
    await migrate(context, 'contract', { access, artefact, where: to.colour, jobs });
    if (from !== undefined && definition.bake.oldColour === 'release') await release(context, environment, from.colour);
    const { backup } = await takeBackup(context, to.colour, to.version);
    await context.act('verify-backup', `check backup ${backup.id} against its checksums`, () => backups.verify(backup));
    await prune(context);
  },

  verify: () => Promise.resolve(undefined),

  // What failed here is finished by `resume`; until the way back has ended `rollback` is possible, and the cutover stage does it.
  undo: () => Promise.resolve(undefined),
};

/** Whether a release can only be finished: its way back has ended, or was never there. */
export function pastNoReturn(entries: readonly JournalEntry[]): boolean {
  const started = entries.find((entry) => entry.type === 'release.started');
  const first = started?.type === 'release.started' && started.from === undefined;
  return entries.some((entry) =>
    first
      ? entry.type === 'stage.started' && entry.stage === 'cleanup'
      : entry.type === 'action.intent' && entry.id === endOfTheWayBack,
  );
}

/**
 * A contract migration takes away what no way back restores: a backup of the time before it is proven first. Not again where a run
 * that was cut off had proven one: half of the migrations may have run since, and what a backup would hold now is no net.
 */
async function proveNet(context: ReleaseContext, access: DatabaseAccess): Promise<void> {
  const entries = context.journal.entries();
  if (!hasContract(context.definition) || (pastNoReturn(entries) && wasProven(entries))) return;
  const pending = await pendingOf(context, 'contract', access, context.artefact());
  if (pending.length === 0) {
    await context.gates([nothingToProve]);
    return;
  }
  const scratch = await proveBackup(context, context.to, proof);
  await scratch?.dispose();
  if (wasProven(context.journal.entries())) return;
  const open = pastNoReturn(entries) ? '' : '. The way back is still open: npm run rollback';
  throw new OperationError(
    'cleaning up after the release',
    `the backup before the contract migrations could not be proven, so they do not run (${pending.join(', ')})`,
    `see the gate ${proof.id} in the report; mend that, then: npm run resume${open}`,
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
  const last = entries.findLast((entry) => entry.type === 'gate.judged' && entry.gate.id === proof.id);
  return last?.type === 'gate.judged' && passes(last.gate.verdict);
}

/**
 * The backup of before a contract migration is all that has what it took away: it is kept with all that came after it, however often
 * the clean-up was repeated since.
 */
async function prune(context: ReleaseContext): Promise<void> {
  const { backups } = await context.connect();
  const proven = context.journal.entries().findLast((entry) => entry.type === 'backup.restored');
  const isProven = ({ id }: Backup): boolean => proven?.type === 'backup.restored' && proven.id === id;
  const since = hasContract(context.definition) ? (await backups.list()).findIndex(isProven) + 1 : 0;
  const keep = Math.max(leastOf(context.definition), since);
  const gone = await context.act('prune-backups', `keep the newest ${keep} backups`, () => backups.prune(keep));
  if (gone.length > 0) context.note(`deleted backups: ${gone.map(({ id }) => id).join(', ')}`);
}

/** With contract migrations two: the backup of before them, and the one of after them. */
const leastOf = (definition: ReleaseDefinition): number =>
  Math.max(hasContract(definition) ? 2 : 1, definition.data.backupRetention);

/** Nothing is cleaned up while a gate is open, or before the two databases were found equal at the cutover. */
function refuseUnverified({ journal, from }: ReleaseContext): void {
  const judged = journal
    .entries()
    // The clean-up's own gate is judged anew by each run.
    .flatMap((entry) => (entry.type === 'gate.judged' && entry.stage !== 'cleanup' ? [entry.gate] : []));
  const latest = new Map(judged.map((gate) => [gate.id, gate]));
  const open = [...latest.values()]
    .filter((gate) => !passes(gate.verdict))
    .map((gate) => `${gate.id} is ${gate.verdict}`);
  if (from !== undefined && !latest.has('data-comparison')) open.push('the databases were not compared');
  if (open.length > 0) throw new StageStopped('no-go', `the old colour is kept: ${open.join('; ')}`);
}
