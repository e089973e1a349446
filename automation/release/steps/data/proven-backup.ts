import { isDeepStrictEqual } from 'node:util';
import type { DatabaseAccess, ScratchDatabase } from '../../../../infra/platform/databases.ts';
import { close, connect, withClient } from '../../../data/connect.ts';
import { checkIndexes } from '../../../data/comparison/indexes.ts';
import { compareRestored, openMoment } from '../../../data/comparison/restored.ts';
import { backupRestoreGate, type RecoveryLimits, type RestoreFacts } from '../../../gates/data/restore.ts';
import { takeBackup } from './backup.ts';
import type { ReleaseContext } from '../../context/context.ts';
import type { Placement } from '../../context/release.ts';

const limitsOf = ({ definition: { data } }: ReleaseContext): RecoveryLimits => ({
  timeMs: data.limits.restoreSeconds * 1000,
  pointMs: data.limits.backupAgeSeconds * 1000,
});

/** The gate that judges a backup, by its id and title. */
export interface BackupProof {
  id: string;
  title: string;
}

/**
 * Backs up what is live, checks every byte, restores it into a scratch cluster and compares that with what was live, as a gate.
 * Resolves to the restored database, which the caller disposes of; undefined where the gate found that the backup is no good.
 */
export async function proveBackup(
  context: ReleaseContext,
  live: Placement,
  proof: BackupProof,
): Promise<ScratchDatabase | undefined> {
  const environment = await context.connect();
  const access: DatabaseAccess = await environment.databases.of(live.colour);
  const sessions = await Promise.all([connect(access, 'admin'), connect(access, 'admin')]);
  let scratch: ScratchDatabase | undefined;
  try {
    const before = await openMoment(sessions[0]);
    const taken = await takeBackup(context, live.colour, live.version);
    const recoveryPointMs = Date.now() - Date.parse(taken.backup.takenAt);
    const after = await openMoment(sessions[1]);
    const restore = async (): Promise<RestoreFacts> => {
      const started = performance.now();
      const configuration = await environment.backups.verify(taken.backup);
      scratch = await environment.backups.restore(taken.backup);
      const recoveryTimeMs = Math.round(performance.now() - started);
      const compared = performance.now();
      const { tables, structure } = await withClient(scratch.access, 'admin', (restored) =>
        compareRestored(before, after, restored),
      );
      const compareMs = Math.round(performance.now() - compared);
      // The live database need not keep old rows for what follows.
      await Promise.all(sessions.map((session) => session.query('ROLLBACK')));
      structure.indexes = await withClient(scratch.access, 'admin', (restored) => checkIndexes(restored));
      const { id, bytes, files } = taken.backup;
      context.journal.append({
        type: 'backup.restored',
        id,
        recoveryTimeMs,
        recoveryPointMs,
        tables,
        structure,
        compareMs,
      });
      const configurationEqual = isDeepStrictEqual(configuration, JSON.parse(JSON.stringify(taken.configuration)));
      return { tables, structure, recoveryTimeMs, recoveryPointMs, bytes, files, configurationEqual };
    };
    const [result] = await context.gates([backupRestoreGate({ ...proof, restore, limits: limitsOf(context) })]);
    if (result?.verdict === 'pass') return scratch;
    await scratch?.dispose();
    return undefined;
  } catch (error) {
    await scratch?.dispose();
    throw error;
  } finally {
    await Promise.all(sessions.map(close));
  }
}
