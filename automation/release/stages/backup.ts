import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import type { Replacement } from '../context/release.ts';
import { during, type Stage } from '../context/stage.ts';
import { proveBackup } from '../steps/data/proven-backup.ts';
import { rehearsing } from '../steps/data/rehearsal.ts';

type Shape = Pick<Stage, 'id' | 'title' | 'observationMs'>;

// There is no undo: a backup is kept, whatever becomes of the release.
const shape: Shape = { id: 'backup', title: 'Backup and rehearsal on a copy', observationMs: 0 };

/**
 * A new backup is restored into a scratch database. On that copy of the real data, what could go wrong is tried: the restore,
 * the migrations, the new version with writes, the old version on the new schema, the contract migrations; and with a read-only window
 * what runs in it.
 */
export const backup = (release: Replacement): Stage => ({
  ...shape,
  workMs: 35_000,
  steps: [
    during<DatabaseAccess>(
      {
        says: 'back up the database and the configuration, check every byte, restore the backup into a scratch database',
        gates: { 'backup-restore': 'Backup restored into a scratch cluster and compared with what is live' },
      },
      async (context, work) => {
        const scratch = await proveBackup(context, release.from, {
          id: 'backup-restore',
          title: 'Backup restored and compared',
        });
        if (scratch === undefined) return;
        try {
          await work(scratch.access);
        } finally {
          await scratch.dispose();
        }
      },
      rehearsing(release),
    ),
  ],
});

const later = 'nothing is live yet: the first backup is made after going live';

export const backupLater: Stage = {
  ...shape,
  workMs: 0,
  steps: [{ says: later, do: (context) => Promise.resolve(context.note(later)) }],
};
